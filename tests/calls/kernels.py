"""Valid calls of `implicitly_kernels`, by every backend that this process can run on the CPU."""

import torch

from calls import Call
from implicitly_kernels.langevin import Polynomial, TanhNet

F32, F64 = torch.float32, torch.float64
BACKENDS = ("reference", "numba")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=F32):
    return torch.randn(*shape, generator=rng(seed), dtype=dtype)


def bits(*shape, seed=0):
    return torch.randint(2, shape, generator=rng(seed)) == 1


def each(name, make, label="", backends=BACKENDS, **more):
    """One call for each backend."""

    def called(backend):
        return lambda: make() | dict(backend=backend)

    return {f"implicitly_kernels.{name}#{label}{b}": Call(called(b), **more) for b in backends}


# A shape that does not match is told of one of the two tensors.
def either(*names):
    return {name: " ".join(set(names) - {name}) for name in names}


def blocks(k=32, **more):
    return lambda: dict(x=normal(3, k), **more)


MODES = dict(rounding="sr", seed=5)
X = {"x": "rows dims empty dtype nonfinite"}
ANY_K = {"x": "rows columns dims empty dtype nonfinite"}


def codes(fmt, **more):
    import implicitly_kernels as ik

    quantize = ik.nvfp4_quantize if fmt == "nvfp4" else ik.mxfp4_quantize

    def make():
        packed, scales = quantize(normal(3, 32), backend="reference")
        return dict(codes=packed, scales=scales, **more)

    return make


def problems():
    return dict(
        W=normal(2, 3, 2, dtype=F64), X=normal(2, 4, 2, seed=1, dtype=F64),
        y=torch.randint(3, (2, 4), generator=rng(2)), steps=3, loss="pairlog",
        log_time=torch.tensor([-1.0, 0.5], dtype=F64),
    )  # fmt: skip


def flow():
    u = normal(3, 2, seed=1, dtype=F64)
    return dict(
        x=normal(4, 2, dtype=F64), u=u / u.norm(dim=1, keepdim=True), length=torch.tensor([1.0, 1.5, 2.0], dtype=F64),
        rho=torch.tensor([0.2, 0.1, 0.1], dtype=F64), dt=torch.tensor([0.5, 0.4], dtype=F64),
        origin=torch.zeros(2, dtype=F64), method="heun", save_every=1,
    )  # fmt: skip


def networks():
    return dict(
        w1=normal(2, 3, dtype=F64), b1=normal(2, 3, seed=1, dtype=F64), w2=normal(2, 3, seed=2, dtype=F64),
        b2=normal(2, seed=3, dtype=F64), x=normal(2, 4, seed=4, dtype=F64), y=normal(2, 4, seed=5, dtype=F64),
        step_size=torch.tensor([0.1, 0.2], dtype=F64), steps=3,
    )  # fmt: skip


def chains(**more):
    return lambda: dict(
        theta=normal(3, 2).tanh(), potential=Polynomial(normal(2, 5, seed=1).abs()), beta=torch.tensor([1.0, 2.0, 3.0]),
        eta=0.05, steps=3, seed=4, first_step=2, **more,
    )  # fmt: skip


def tasks(**more):
    rows = torch.linalg.qr(normal(4, 5, 2, dtype=F64)).Q.mT.contiguous()
    return lambda: dict(e=normal(3, 5, seed=1, dtype=F64), basis=rows, s2=1 + normal(4, 2, seed=2, dtype=F64) ** 2,
                        shift=normal(4, 2, seed=3, dtype=F64), **more)  # fmt: skip


def net():
    return TanhNet(normal(4, 2, seed=3), bits(4, seed=4).float(), 1)


LAYOUT = dict(widths=(5, 3, 1), seed=1, bias=1, scaled=True, alphabet="bits")


def search():
    return dict(x=bits(3, 5), y=bits(3, seed=1), n_nets=40, start=3, keep=4, **LAYOUT)


FLOW = either("x", "u", "length", "rho", "dt", "origin")
NETS = either("w1", "b1", "w2", "b2", "x", "y", "step_size")
PERM = either("W", "X", "y", "step_size", "normalized", "log_time")
CHAINS = {"theta": "beta coefficients box prior_var", "beta": "theta", "box": "theta"}



def maps(**more):
    return lambda: dict(x=normal(2, 3, 4, 4), factor=1.5, size=3, **more)


def heads():
    return dict(q=normal(2, 3, 5, 4), k=normal(2, 3, 5, 4, seed=1), v=normal(2, 3, 5, 4, seed=2),
                temperature=normal(3, seed=3))  # fmt: skip


TASKS = either("e", "basis", "s2", "shift", "order", "strength")

def low_rank():
    """Two matrices of 3 x 4 and two directions of each."""
    basis = torch.linalg.qr(normal(2, 3, 2)).Q.contiguous()
    return dict(
        weight=normal(2, 3, 4), grad=normal(2, 3, 4, seed=1), basis=basis, scale=1 + normal(2, 2, seed=2).square(),
        exp_avg=normal(2, 2, 4, seed=3), exp_avg_sq=1 + normal(2, 2, 4, seed=4).square(), step=3, lr=0.1,
        betas=[0.9, 0.99], eps=1e-8, decay=0.1,
    )  # fmt: skip


LOW_RANK = either("weight", "grad", "basis", "scale", "exp_avg", "exp_avg_sq")
FORMAT = dict(mantissa=3, exponent=3, bias_product=5, bias_sum=4, chunk=4, rounding="truncate", underflow=True)
LBA = {"x": "rows empty", "w": "rows empty", "bias_product": "sign zero", "bias_sum": "sign zero none"}
SIZES = either("x", "w")


def pair(rows=3):
    """x (2, 6) and w (rows, 6)."""
    return dict(x=normal(2, 6), w=normal(rows, 6, seed=1))


CALLS = {
    "implicitly_kernels._dispatch.available_backends": Call(lambda: dict(device="cpu")),
    "implicitly_kernels.nvfp4.nvfp4_global_scale": Call(lambda: dict(x=normal(3, 5)),
                                                        accepts={"x": "rows columns dims empty dtype"}),
    **each("nvfp4.nvfp4_qdq", blocks(20, gs=0.5, scale="up", **MODES), accepts=ANY_K | {"seed": "zero"},
           nan="a NaN makes its block NaN"),
    **each("nvfp4.mxfp4_qdq", blocks(20, scale="floor", **MODES), accepts=ANY_K | {"seed": "zero"},
           nan="a NaN makes its block NaN"),
    **each("nvfp4.nvfp4_quantize", blocks(gs=0.5, scale="nearest", **MODES), accepts=X | {"seed": "zero"}),
    **each("nvfp4.mxfp4_quantize", blocks(scale="up", **MODES), accepts=X | {"seed": "zero"}),
    **each("nvfp4.nvfp4_dequantize", codes("nvfp4", gs=0.5), accepts={"codes": "large"},
           names=either("codes", "scales")),
    **each("nvfp4.mxfp4_dequantize", codes("mxfp4"), accepts={"codes": "large", "scales": "large"},
           names=either("codes", "scales"), nan="255 is the scale of a block that holds NaN"),
    **each("perm_gd.perm_gd", lambda: problems() | dict(step_size=torch.tensor([0.1, 0.2], dtype=F64)),
           accepts={"log_time": "dtype none", "step_size": "dtype", "steps": "zero"}, names=PERM),
    "implicitly_kernels.perm_gd.perm_gd#normalized": Call(
        lambda: problems() | dict(normalized=torch.tensor([0.5, 1.0], dtype=F64), backend="numba"),
        accepts={"log_time": "dtype none", "normalized": "dtype", "steps": "zero"}, names=PERM),
    "implicitly_kernels.perm_gd.perm_gd#records": Call(
        lambda: problems() | dict(normalized=torch.tensor([0.5, 1.0], dtype=F64), backend="numba", steps=[0, 2, 3]),
        accepts={"log_time": "dtype none", "normalized": "dtype", "steps": "number"}, names=PERM),
    **each("relu_flow.relu_flow", flow,
           accepts={"x": "rows empty", "length": "dtype ints", "rho": "dtype ints", "dt": "dtype ints",
                    "save_every": "zero", "origin": "none"}, names=FLOW),
    **each("relu_gd.relu_gd", networks, accepts={"steps": "zero"}, names=NETS),
    **each("kaczmarz.kaczmarz", tasks(order=torch.tensor([[0, 3, 1], [2, 2, 2], [1, 0, 3]]), filter="ridge",
                                      strength=torch.tensor([0.5, 0.0, 2.0], dtype=F64), record=[0, 2]),
           accepts={"shift": "none", "record": "none empty", "strength": "number dims dtype ints"}, names=TASKS),
    **each("kaczmarz.kaczmarz", label="greedy ",
           make=tasks(rule="residual", repetition=True, steps=6, filter="budget", strength=3.0, gamma=0.05, record=[0]),
           accepts={"e": "rows empty", "shift": "none", "record": "none empty", "steps": "zero",
                    "strength": "ints size", "gamma": "size"}, names=TASKS),
    **each("lba_gemm.lba_gemm", lambda: pair() | FORMAT | dict(gradient="recursive-overflow"), accepts=LBA,
           names=SIZES),
    **each("lba_gemm.lba_events", lambda: pair() | FORMAT, accepts=LBA, names=SIZES),
    "implicitly_kernels.lba_gemm.lba_trace": Call(lambda: pair(2) | FORMAT | dict(backend="numba"), names=SIZES,
                                                  accepts=LBA | {"x": "", "w": ""}),
    **each("low_rank_adam.low_rank_adam", low_rank, backends=("reference",), changes="weight exp_avg exp_avg_sq",
           accepts={name: "nonfinite" for name in LOW_RANK}
           | {"weight": "nonfinite dtype", "lr": "zero size", "eps": "zero size", "decay": "zero size"},
           names=LOW_RANK, nan="NaN and infinities pass through"),
    **each("low_rank_adam.low_rank_realign", backends=("reference",), names=either("R", "exp_avg", "exp_avg_sq"),
           make=lambda: dict(R=normal(2, 3, 2), exp_avg=normal(2, 2, 4, seed=1), exp_avg_sq=normal(2, 2, 4, seed=2)),
           accepts={"R": "nonfinite", "exp_avg": "nonfinite", "exp_avg_sq": "nonfinite"}, nan="they pass through"),
    "implicitly_kernels.lba_gemm.lba_quantize": Call(
        lambda: dict(x=normal(3, 5), mantissa=3, exponent=3, bias=5, rounding="nearest", underflow=True),
        accepts={"x": "rows columns dims empty dtype", "bias": "sign zero"}),
    "implicitly_kernels.langevin.Polynomial": Call(lambda: dict(coefficients=normal(2, 5)),
                                                   accepts={"coefficients": "rows dtype"}),
    "implicitly_kernels.langevin.TanhNet": Call(
        lambda: dict(x=normal(4, 2), y=bits(4).float(), hidden=2),
        accepts={"x": "columns dtype", "y": "dtype ints bool"}, names=either("x", "y")),
    **each("langevin.langevin", chains(prior_var=0.5, metropolis=True),
           accepts={"theta": "rows", "beta": "number", "seed": "zero", "first_step": "zero", "steps": "zero",
                    "prior_var": "none"}, names=CHAINS),
    **each("langevin.langevin", chains(box=torch.tensor([1.5, 2.0]), metropolis=False), label="box ",
           accepts={"beta": "number", "seed": "zero", "first_step": "zero", "steps": "zero",
                    "box": "number none nonfinite"}, names=CHAINS),
    "implicitly_kernels.langevin.langevin#net": Call(
        lambda: dict(theta=normal(3, 3), potential=net(), beta=2.0, eta=0.05, steps=3, prior_var=0.5, metropolis=False,
                     seed=4, first_step=0, backend="numba"),
        accepts={"theta": "rows empty", "seed": "zero", "steps": "zero", "prior_var": "none"}, names={"theta": "x"}),
    **each("sign_nets.sign_nets", search,
           accepts={"n_nets": "zero", "seed": "zero", "start": "zero", "keep": "zero", "bias": "zero"},
           names=either("x", "y", "widths")),
    "implicitly_kernels.sign_nets.sign_nets_weights": Call(
        lambda: dict(index=torch.tensor([0, 7]), **LAYOUT),
        accepts={"index": "rows empty large", "seed": "zero", "bias": "zero"}),
    "implicitly_kernels.sign_nets.sign_nets_predict": Call(
        lambda: dict(index=torch.tensor([0, 7]), x=bits(3, 5), **LAYOUT),
        accepts={"index": "rows empty large", "x": "rows empty", "seed": "zero", "bias": "zero"},
        names=either("x", "widths")),
    "implicitly_kernels.up_act_down.reference.resample_matrix": Call(
        lambda: dict(n=4, m=6, dtype=F32)),
    **each("up_act_down.up_act_down", maps(activation="gelu"),
           accepts={"x": "rows dims empty dtype nonfinite", "size": "none"}, nan="a NaN makes its map NaN"),
    **each("up_act_down.up_act_down", maps(activation="poly", coefficients=normal(3, 3, seed=1)), label="poly ",
           accepts={"x": "rows dims empty nonfinite", "size": "none", "coefficients": "dims nonfinite"},
           names=either("x", "coefficients"), nan="a NaN makes its map NaN"),
    **each("xca.cross_covariance_attention", heads,
           accepts={name: "nonfinite" for name in ("q", "k", "v", "temperature")},
           names=either("q", "k", "v", "temperature"), nan="a NaN makes its head NaN"),
}  # fmt: skip
