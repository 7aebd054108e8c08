"""Low-rank Adam: every backend against float64 by columns and entries, torch's own Adam at full rank, bad input."""

import math

import pytest
import torch
from lanes import LANES, params, relative_error

from implicitly_kernels import low_rank_adam, low_rank_realign
from implicitly_kernels.low_rank_adam import _DISPATCH, _tile, reference

F32, F64 = torch.float32, torch.float64
HOW = {"step": 3, "lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-6, "decay": 0.2}
CHANGED = ("weight", "exp_avg", "exp_avg_sq")
# shape of weight, r; the last has two tiles of its own a side, and is transposed
SMALL = [((3, 5), 2), ((5, 3), 2), ((2, 18, 33), 17), ((1, 2, 70, 37), 5)]
LARGE = [*SMALL, ((1, 1), 1), ((7, 7), 7), ((130, 70), 65), ((2, 129, 300), 128), ((96, 1500), 32)]


@pytest.fixture(params=params([pair for pair in LANES if pair[0] != "numba"]))
def lane(request):
    """(backend, device): there is no compiled path on the CPU."""
    return request.param


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def problem(shape, r, seed=0):
    *batch, a, b = shape
    m, n = min(a, b), max(a, b)
    return {
        "weight": normal(*shape, seed=seed), "grad": normal(*shape, seed=seed + 1),
        "basis": torch.linalg.qr(normal(*batch, m, m, seed=seed + 2)).Q[..., :r].contiguous(),
        "scale": 0.5 + normal(*batch, r, seed=seed + 3).abs(), "exp_avg": normal(*batch, r, n, seed=seed + 4),
        "exp_avg_sq": 0.1 + normal(*batch, r, n, seed=seed + 5).square(),
    }  # fmt: skip


def oracle(given, *, step, lr, betas, eps, decay):
    """By einsum, from the definition; what it changes, new."""
    W, G = given["weight"], given["grad"]
    turned = W.shape[-2] > W.shape[-1]
    W, G = (W.mT, G.mT) if turned else (W, G)
    low = torch.einsum("...ik,...ij->...kj", given["basis"], G)
    M = betas[0] * given["exp_avg"] + (1 - betas[0]) * low
    V = betas[1] * given["exp_avg_sq"] + (1 - betas[1]) * low**2
    U = M / (1 - betas[0] ** step) / ((V / (1 - betas[1] ** step)) ** 0.5 + eps)
    W = (1 - lr * decay) * W - lr * torch.einsum("...ik,...k,...kj->...ij", given["basis"], given["scale"], U)
    return W.mT if turned else W, M, V


def moved(given, dtype, device):
    return {name: v.to(device, dtype, copy=True) for name, v in given.items()}


def stepped(given, run=None, backend="reference", **how):
    how = {**HOW, **how}
    if run is None:
        low_rank_adam(**given, **how, backend=backend)
    else:
        betas, rest = how["betas"], (how["step"], how["lr"])
        run(*given.values(), *rest, *betas, how["eps"], how["decay"])
    return [given[name] for name in CHANGED]


def check(dtype=F32, device="cpu", shapes=SMALL, run=None, backend="reference", **how):
    for shape, r in shapes:
        given = problem(shape, r)
        rounded = moved(given, dtype, "cpu")
        want = oracle({name: v.double() for name, v in rounded.items()}, **{**HOW, **how})
        got = stepped(moved(given, dtype, device), run, backend, **how)
        for name, a, b in zip(CHANGED, got, want, strict=True):
            assert a.dtype == dtype and a.device.type == device and a.shape == b.shape
            assert relative_error(a, b) < (1e-13 if dtype == F64 else 2e-6), (shape, r, name, relative_error(a, b))


def of(lane):
    """dtypes and shapes of a lane; few where the interpreter runs."""
    return (F32,) if lane[0] == "triton" else (F64, F32), SMALL if lane == ("triton", "cpu") else LARGE


def test_against_the_sums(lane):
    dtypes, shapes = of(lane)
    for dtype in dtypes:
        check(dtype, lane[1], shapes, backend=lane[0])
        check(dtype, lane[1], shapes[:2], backend=lane[0], decay=0.0, step=1, betas=(0.0, 0.0))


def test_realigned_against_the_sums(lane):
    backend, device = lane
    for dtype in of(lane)[0]:
        for batch, s, r, n in ((), 3, 2, 5), ((2,), 17, 33, 40), ((2, 1), 1, 1, 1), ((), 128, 100, 70):
            given = normal(*batch, s, r), normal(*batch, r, n, seed=1), normal(*batch, r, n, seed=2).square()
            given = [v.to(dtype) for v in given]
            R, M, V = (v.double() for v in given)
            want = (torch.einsum("...sr,...rn->...sn", R, M), torch.einsum("...sr,...sr,...rn->...sn", R, R, V))
            got = low_rank_realign(*(v.to(device) for v in given), backend=backend)
            for a, b in zip(got, want, strict=True):
                assert a.dtype == dtype and a.is_contiguous()
                assert relative_error(a, b) < (1e-13 if dtype == F64 else 1e-6)


def test_in_all_directions_it_is_adamw(lane):
    """P the identity and weights 1: torch's own optimizer, over three steps."""
    backend, device = lane
    for dtype in of(lane)[0]:
        p = torch.nn.Parameter(normal(4, 6).to(device, dtype))
        other = torch.optim.AdamW([p], lr=0.1, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.2)
        ours, eye = p.detach().clone(), torch.eye(4, dtype=dtype, device=device)
        M, V = torch.zeros_like(ours), torch.zeros_like(ours)
        for t in range(1, 4):
            p.grad = normal(4, 6, seed=t).to(device, dtype)
            other.step()
            low_rank_adam(ours, p.grad, eye, torch.ones_like(eye[0]), M, V, **{**HOW, "step": t}, backend=backend)
        assert relative_error(ours, p.detach()) < (1e-14 if dtype == F64 else 1e-6)


def test_what_is_not_stepped_stays_and_memory_is_as_it_was(lane):
    """Strided and transposed tensors are changed where they lie; a matrix without batch entries, and no matrix."""
    backend, device = lane
    given = moved(problem((2, 6, 9), 3), F32, device)
    want = stepped({name: v.clone() for name, v in given.items()}, backend=backend)
    for lay in (lambda v: torch.stack([v, v], -1)[..., 0],
                lambda v: v.mT.contiguous().mT if v.ndim > 2 else v):  # fmt: skip
        again = {name: lay(v.clone()) for name, v in given.items()}
        strides = [again[name].stride() for name in CHANGED]
        got = stepped(again, backend=backend)
        assert [v.stride() for v in got] == strides
        assert all(relative_error(a, b) < 1e-6 for a, b in zip(got, want, strict=True))
        assert all(torch.equal(again[name], given[name]) for name in ("grad", "basis", "scale"))
    wide = torch.stack([given["weight"]] * 2, -1)
    stepped({**{name: v.clone() for name, v in given.items()}, "weight": wide[..., 0]}, backend=backend)
    assert torch.equal(wide[..., 1], given["weight"]) and not torch.equal(wide[..., 0], given["weight"])
    none = stepped({name: v[:0] for name, v in given.items()}, backend=backend)
    assert none[0].shape == (0, 6, 9)
    low_rank_realign(torch.ones(0, 2, 3, device=device), *torch.ones(2, 0, 3, 4, device=device), backend=backend)


def test_a_nan_stays_in_its_column(lane):
    backend, device = lane
    given = moved(problem((6, 9), 3), F32, device)
    want = stepped({name: v.clone() for name, v in given.items()}, backend=backend)
    given["grad"][2, 4] = math.nan
    for a, b in zip(stepped(given, backend=backend), want, strict=True):
        assert a[:, 4].isnan().all() and not a[:, :4].isnan().any()
        assert relative_error(a[:, 5:], b[:, 5:]) < 1e-6


def test_eps_of_zero_and_a_moment_of_zero(lane):
    """0/0 in an entry is NaN, as in torch; the padding of a tile is no entry."""
    backend, device = lane
    given = moved(problem((5, 7), 3), F32, device)
    want = oracle({name: v.cpu().double() for name, v in given.items()}, **{**HOW, "eps": 0.0})
    for a, b in zip(stepped(given, backend=backend, eps=0.0), want, strict=True):
        assert relative_error(a, b) < 2e-6
    given["exp_avg"].zero_(), given["exp_avg_sq"].zero_(), given["grad"].zero_()
    assert stepped(given, backend=backend, eps=0.0)[0].isnan().all()


def test_in_half_precision():
    for dtype in (torch.bfloat16, torch.float16):
        given = moved(problem((4, 6), 2), F32, "cpu")
        given["weight"] = given["weight"].to(dtype)
        want = oracle({name: v.double() for name, v in given.items()}, **HOW)
        low_rank_adam(**given, **HOW)
        assert given["weight"].dtype == dtype
        assert relative_error(given["weight"], want[0]) < 4 * torch.finfo(dtype).eps
        assert relative_error(given["exp_avg"], want[1]) < 1e-6


def test_what_triton_does_not_take(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.delenv("IMPLICITLY_BACKEND", raising=False)
    with monkeypatch.context() as on_a_gpu:
        for dispatch in _DISPATCH.values():
            on_a_gpu.setattr(dispatch, "choose", lambda backend, device: "triton")
        for message, given in (
            ("weight: the triton backend computes in float32, got torch.float64", problem((3, 5), 2)),
            ("basis: the triton backend takes at most 128 directions, got 129",
             moved(problem((129, 130), 129), F32, "cpu")),
        ):
            want = stepped({name: v.clone() for name, v in given.items()}, reference.step)
            with pytest.raises(ValueError, match=message):
                low_rank_adam(**given, **HOW, backend="triton")
            assert all(map(torch.equal, stepped(given, backend="auto"), want))
        R = torch.ones(129, 2)
        with pytest.raises(ValueError, match="R: the triton backend takes at most 128 directions, got 129"):
            low_rank_realign(R, torch.ones(2, 3), torch.ones(2, 3), backend="triton")
        assert low_rank_realign(R, torch.ones(2, 3), torch.ones(2, 3))[0].shape == (129, 3)


def test_there_is_no_numba():
    with pytest.raises(RuntimeError, match="low_rank_adam: backend 'numba' is not available"):
        low_rank_adam(**problem((3, 5), 2), **HOW, backend="numba")


def test_opcheck_and_no_gradient(lane):
    backend, device = lane
    given = moved(problem((3, 5), 2), F32, device)
    numbers = (3, 0.1, 0.9, 0.99, 1e-6, 0.2)
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    op = torch.ops.implicitly.low_rank_adam.default
    torch.library.opcheck(op, (*given.values(), *numbers, backend), test_utils=tests)
    R = torch.ones(2, 2, device=device)
    torch.library.opcheck(torch.ops.implicitly.low_rank_realign.default,
                          (R, given["exp_avg"], given["exp_avg_sq"], backend))  # fmt: skip
    for name in ("weight", "grad"):
        leaf = {**given, name: given[name].clone().requires_grad_()}
        with pytest.raises(NotImplementedError, match="low_rank_adam: a step is not differentiable"):
            low_rank_adam(**leaf, **HOW, backend=backend)
        with torch.no_grad():
            low_rank_adam(**leaf, **HOW, backend=backend)
    first, _ = low_rank_realign(R.requires_grad_(), given["exp_avg"], given["exp_avg_sq"], backend=backend)
    with pytest.raises(NotImplementedError, match="low_rank_realign: moments are not differentiable"):
        first.sum().backward()
    with torch.inference_mode():
        low_rank_adam(**{name: v.clone() for name, v in given.items()}, **HOW, backend=backend)


def test_autograd_sees_the_change(lane):
    backend, device = lane
    given = moved(problem((3, 5), 2), F32, device)
    for name in CHANGED:
        leaf = torch.ones((), device=device, requires_grad=True)
        y = (leaf * given[name]).exp()  # whose backward needs y
        with torch.no_grad():
            low_rank_adam(**{k: v.clone() for k, v in given.items()} | {name: y}, **HOW, backend=backend)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    one, two = (stepped(moved(problem((300, 500), 32), F32, "cuda"), backend="triton") for _ in range(2))
    assert all(map(torch.equal, one, two))


T = {name: v.float() for name, v in problem((2, 3, 5), 2).items()}
BAD = [
    (TypeError, "weight: expected a torch.Tensor, got list", {"weight": [[1.0]]}),
    (TypeError, "weight: expected dtype float32 or float64 or bfloat16 or float16, got torch.int64",
     {"weight": T["weight"].long()}),
    (ValueError, r"weight: expected shape \(\.\.\., rows, columns\), both at least 1, got \(5,\)",
     {"weight": T["weight"][0, 0]}),
    (ValueError, r"weight: expected shape .*, got \(2, 3, 0\)", {"weight": T["weight"][..., :0]}),
    (TypeError, "grad: expected dtype float32, got torch.float64", {"grad": T["grad"].double()}),
    (TypeError, "grad: expected dtype float32, got torch.bfloat16",
     {"weight": T["weight"].bfloat16(), "grad": T["grad"].bfloat16()}),
    (ValueError, r"grad: expected shape \(2, 3, 5\), got \(2, 5, 3\)", {"grad": T["grad"].mT}),
    (ValueError, r"basis: expected shape \(2, 3, \*\), got \(2, 2, 2\)", {"basis": T["basis"][:, :2]}),
    (ValueError, r"basis: expected 1 to 3 directions, got shape \(2, 3, 0\)", {"basis": T["basis"][..., :0]}),
    (ValueError, r"basis: expected 1 to 3 directions, got shape \(2, 3, 4\)", {"basis": T["basis"].repeat(1, 1, 2)}),
    (ValueError, r"scale: expected shape \(2, 2\), got \(2,\)", {"scale": T["scale"][0]}),
    (ValueError, r"exp_avg: expected shape \(2, 2, 5\), got \(2, 1, 5\)", {"exp_avg": T["exp_avg"][:, :1]}),
    (ValueError, r"exp_avg_sq: expected shape \(2, 2, 5\), got \(2, 5, 2\)", {"exp_avg_sq": T["exp_avg_sq"].mT}),
    (ValueError, "step: expected 1 <= step", {"step": 0}),
    (TypeError, "step: expected an int, got float", {"step": 1.0}),
    (ValueError, "lr: expected 0 <= lr <= 3.4e.38, got -1", {"lr": -1}),
    (ValueError, "lr: expected 0 <= lr <= 3.4e.38, got nan", {"lr": math.nan}),
    (ValueError, r"betas\[1\]: expected 0 <= betas\[1\] < 1, got 1", {"betas": (0.9, 1)}),
    (ValueError, "betas: expected 2 numbers, got 3", {"betas": (0.9, 0.9, 0.9)}),
    (TypeError, "betas: expected 2 numbers, got float", {"betas": 0.9}),
    (TypeError, "eps: expected a number, got str", {"eps": "x"}),
    (ValueError, "decay: expected 0 <= decay", {"decay": -0.1}),
    (ValueError, "backend: expected one of", {"backend": "cuda"}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    before = {name: v.clone() for name, v in T.items()}
    with pytest.raises(error, match=message):
        low_rank_adam(**{**T, **HOW, **change})
    assert all(torch.equal(T[name], before[name]) for name in T)


@pytest.mark.parametrize(("error", "message", "given"), [
    (ValueError, r"R: expected shape .*, got \(2,\)", (torch.ones(2), *torch.ones(2, 2, 3))),
    (TypeError, "R: expected dtype float32 or float64, got torch.float16",
     (torch.ones(2, 2).half(), *torch.ones(2, 2, 3))),
    (ValueError, r"exp_avg: expected shape \(3, \*\), got \(2, 3\)", (torch.ones(2, 3), *torch.ones(2, 2, 3))),
    (ValueError, r"exp_avg_sq: expected shape \(2, 3\), got \(2, 4\)",
     (torch.ones(2, 2), torch.ones(2, 3), torch.ones(2, 4))),
])  # fmt: skip
def test_bad_arguments_of_a_realignment(error, message, given):
    with pytest.raises(error, match=message):
        low_rank_realign(*given)


REFERENCE = "kernels/implicitly_kernels/low_rank_adam/reference.py"
TRITON = "kernels/implicitly_kernels/low_rank_adam/_triton.py"
FAULTS = {
    "not bias-corrected": (REFERENCE, "(exp_avg / (1 - beta1**step))", "exp_avg.clone()"),
    "weights left out": (REFERENCE, "basis * scale[..., None, :]", "basis"),
    "weights before the rule": (REFERENCE, "low = basis.mT", "low = (basis * scale[..., None, :]).mT"),
    "no decay": (REFERENCE, "if decay", "if not decay"),
    "the longer side": (REFERENCE, "weight.shape[-2] > weight.shape[-1]", "weight.shape[-2] < weight.shape[-1]"),
}
TRITON_FAULTS = {
    "only the first rows": (TRITON, "for first in range(0, rows, M):", "for first in range(0, M, M):"),
    "only the first directions": (TRITON, "for k in range(0, r, K):", "for k in range(0, K, K):"),
    "weights of the first matrix": (TRITON, "s_ptr + b * r + k", "s_ptr + k"),
    "not bias-corrected": (TRITON, "mean / over1", "mean"),
    "no decay": (TRITON, "kept * tl.load(w_ptr", "tl.load(w_ptr"),
    "a step of its own for each block of rows": (TRITON, "% down * M", "% down * 0"),
    "a transpose taken as it lies": (TRITON, "TALL=flat", "TALL=False"),
}


def test_no_fault_is_seen_where_there_is_none(mutant):
    check(run=mutant(REFERENCE, "lr", "lr").step)


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(mutant, fault):
    with pytest.raises((AssertionError, RuntimeError)):
        check(run=mutant(*FAULTS[fault]).step)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    with pytest.raises((AssertionError, RuntimeError)):
        check(run=mutant(*TRITON_FAULTS[fault]).step)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
def test_a_planted_fault_in_the_realignment_is_seen(mutant):
    R, M, V = normal(3, 2).float(), normal(2, 5, seed=1).float(), normal(2, 5, seed=2).float().square()
    want = reference.realign(R, M, V)
    for old, new, seen in (("o", "o", False), ("turn * turn", "turn", True),
                           ("to_v_ptr + at, square", "to_v_ptr + at, mean", True)):  # fmt: skip
        got = mutant(TRITON, old, new).realign(R, M, V)
        assert (relative_error(got[1], want[1]) > 1e-2) == seen and relative_error(got[0], want[0]) < 1e-6


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
def test_tiles_of_other_sizes_agree():
    step, realign = (_DISPATCH[name].load("triton") for name in ("step", "realign"))
    check(run=lambda *a: step(*a, tiles=(32, 32, 16, 4)))
    R, M, V = normal(17, 30).float(), normal(30, 40, seed=1).float(), normal(30, 40, seed=2).float()
    for a, b in zip(realign(R, M, V), realign(R, M, V, tiles=(32, 32, 32, 4)), strict=True):
        assert relative_error(a, b) < 1e-6
    assert _tile.tile(1)[0] == 16 and _tile.tile(17)[0] == 32 and _tile.tile(_tile.MOST)[0] == _tile.MOST
