"""How often a call waits for the device to learn what a tensor holds: once, for all that it checks; for a number never.

On a GPU each time costs some 20 µs, as much as a small kernel. Counted on the CPU, with the reference: what the checks
do is the same on every device.
"""

import numpy as np
import pytest
import torch

import implicitly_kernels as ik

# What copies from a device and waits for it, besides an index by a mask: checks do that after they have failed.
ASKS = ("item", "tolist", "__bool__", "__float__", "__int__", "__index__", "__complex__", "__contains__", "__array__",
        "numpy", "cpu", "equal", "allclose", "nonzero", "argwhere", "masked_select", "unique")  # fmt: skip


def asks(call):
    """How often `call` asks for what a tensor holds."""
    found = []

    def counted(name, asked):
        def ask(self, *args, **kwargs):
            found.append(name)
            return asked(self, *args, **kwargs)

        return ask

    with pytest.MonkeyPatch.context() as patch:
        for name in ASKS:
            patch.setattr(torch.Tensor, name, counted(name, getattr(torch.Tensor, name)))
        call()
    return found


def _calls():
    """{name: (asks allowed, call)}: every public op, with numbers wherever it takes them, and with tensors."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape, dtype=torch.float32):
        return torch.randn(*shape, generator=g, dtype=dtype)

    x, one = normal(4, 64), torch.ones(())
    codes, scales = ik.nvfp4_quantize(x, backend="reference")
    mx_codes, mx_scales = ik.mxfp4_quantize(x, backend="reference")
    ref = {"backend": "reference"}
    calls = {
        "nvfp4_global_scale": (1, lambda: ik.nvfp4_global_scale(x)),
        "nvfp4_qdq": (0, lambda: ik.nvfp4_qdq(x, gs=0.5, **ref)),
        "nvfp4_qdq, gs": (1, lambda: ik.nvfp4_qdq(x, gs=one, **ref)),
        "nvfp4_quantize": (0, lambda: ik.nvfp4_quantize(x, gs=0.5, **ref)),
        "nvfp4_quantize, gs": (1, lambda: ik.nvfp4_quantize(x, gs=one, **ref)),
        "nvfp4_dequantize": (1, lambda: ik.nvfp4_dequantize(codes, scales, gs=0.5, **ref)),  # its scales
        "nvfp4_dequantize, gs": (1, lambda: ik.nvfp4_dequantize(codes, scales, gs=one, **ref)),
        "mxfp4_qdq": (0, lambda: ik.mxfp4_qdq(x, **ref)),
        "mxfp4_quantize": (0, lambda: ik.mxfp4_quantize(x, **ref)),
        "mxfp4_dequantize": (0, lambda: ik.mxfp4_dequantize(mx_codes, mx_scales, **ref)),
    }
    theta = 0.1 * normal(3, 15)
    net, hill = ik.TanhNet(normal(6, 4), torch.arange(6) % 2, 3), ik.Polynomial(normal(15, 5).abs())
    few = {"eta": 0.01, "steps": 2, **ref}
    calls |= {
        "TanhNet": (1, lambda: ik.TanhNet(net.x, net.y, 3)),
        "Polynomial": (1, lambda: ik.Polynomial(hill.coefficients)),
        "langevin": (1, lambda: ik.langevin(theta, net, beta=2.0, **few)),
        "langevin, numbers": (1, lambda: ik.langevin(theta, hill, beta=2.0, prior_var=1.0, box=1.0, **few)),
        "langevin, tensors": (1, lambda: ik.langevin(theta, net, beta=torch.ones(3), prior_var=torch.ones(15),
                                                     box=torch.ones(15), metropolis=True, **few)),
    }
    basis = torch.linalg.qr(normal(5, 6, 2, dtype=torch.float64))[0].mT.contiguous()
    e, s2 = normal(3, 6, dtype=torch.float64), torch.rand(5, 2, generator=g, dtype=torch.float64)
    order, rates = torch.arange(12).reshape(3, 4) % 5, torch.ones(4, dtype=torch.float64)
    calls |= {
        "kaczmarz": (1, lambda: ik.kaczmarz(e, basis, s2, order=order, **ref)),
        "kaczmarz, ridge": (1, lambda: ik.kaczmarz(e, basis, s2, order=order, filter="ridge", strength=0.5, **ref)),
        "kaczmarz, ridges": (1, lambda: ik.kaczmarz(e, basis, s2, order=order, filter="ridge", strength=rates, **ref)),
        "kaczmarz, budgets": (1, lambda: ik.kaczmarz(e, basis, s2, order=order, filter="budget", strength=rates,
                                                     gamma=0.1, shift=s2, **ref)),
        **{f"kaczmarz, {rule}": (1, lambda rule=rule: ik.kaczmarz(e, basis, s2, rule=rule, record=[0, 2, 5], **ref))
           for rule in ("distance", "residual", "nearest")},
    }  # fmt: skip
    W, X, y = normal(3, 3, 2), normal(3, 5, 2), torch.arange(15).reshape(3, 5) % 3
    half = torch.full((3,), 0.5)
    calls |= {
        "perm_gd": (1, lambda: ik.perm_gd(W, X, y, 2, step_size=half, **ref)),
        "perm_gd, normalized": (1, lambda: ik.perm_gd(W, X, y, [1, 3], normalized=half, log_time=half, **ref)),
    }
    u, times = torch.nn.functional.normalize(normal(3, 4), dim=1), torch.full((3,), 0.1)
    p = [normal(3, 4), normal(3, 4), normal(3, 4), normal(3)]
    data = normal(3, 5), normal(3, 5), torch.full((3,), 0.1)
    calls |= {
        "relu_flow": (1, lambda: ik.relu_flow(normal(5, 4), u, torch.ones(3), torch.full((4,), 0.1), times, **ref)),
        "relu_flow, origin": (1, lambda: ik.relu_flow(
            normal(5, 4), u, torch.ones(3), torch.full((4,), 0.1), times, origin=normal(4), method="heun",
            save_every=1, **ref)),
        "relu_gd": (1, lambda: ik.relu_gd(*p, *data, 2, **ref)),
    }  # fmt: skip
    bits, labels, index = normal(4, 6) > 0, normal(4) > 0, torch.arange(5)
    calls |= {
        "sign_nets": (0, lambda: ik.sign_nets(bits, labels, (6, 3, 1), 64, **ref)),
        "sign_nets_weights": (1, lambda: ik.sign_nets_weights(index, (6, 3, 1))),
        "sign_nets_predict": (1, lambda: ik.sign_nets_predict(index, bits, (6, 3, 1))),
    }
    q, maps = normal(1, 2, 6, 4), normal(2, 4, 4)
    weight, moments = normal(6, 4), torch.zeros(2, 6)
    calls |= {
        "cross_covariance_attention": (0, lambda: ik.cross_covariance_attention(q, q, q, torch.ones(2), **ref)),
        "resample_matrix": (0, lambda: ik.resample_matrix(4, 6)),
        **{f"up_act_down, {name}": (0, lambda name=name: ik.up_act_down(maps, name, **ref))
           for name in ("identity", "gelu", "relu")},
        "up_act_down, poly": (0, lambda: ik.up_act_down(maps, "poly", coefficients=torch.ones(3), **ref)),
        "low_rank_adam": (0, lambda: ik.low_rank_adam(
            weight, weight.clone(), torch.eye(4, 2), torch.ones(2), moments.clone(), moments.clone(), step=1, lr=0.1,
            **ref)),
        "low_rank_realign": (0, lambda: ik.low_rank_realign(torch.eye(2), moments, moments, **ref)),
        "lba_gemm": (1, lambda: ik.lba_gemm(x, x, **ref)),
        "lba_events": (1, lambda: ik.lba_events(x, x, **ref)),
        "lba_trace": (1, lambda: ik.lba_trace(x, x, **ref)),
        "lba_quantize": (1, lambda: ik.lba_quantize(x, mantissa=7, exponent=4, bias=10)),
    }  # fmt: skip
    return calls


CALLS = _calls()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_asks_once(name):
    allowed, call = CALLS[name]
    assert len(asks(call)) == allowed


def test_every_public_op_is_counted():
    counted = {name.split(",")[0] for name in CALLS}
    assert counted == set(ik.__all__) - {"available_backends"}


@pytest.mark.parametrize("ask", [
    lambda t: t.item(), lambda t: t.tolist(), bool, float, int, lambda t: [1, 2][t], np.asarray, lambda t: t.nonzero(),
    lambda t: 1 if t else 0,
])  # fmt: skip
def test_the_counter_sees_each_way(ask):
    assert len(asks(lambda: ask(torch.tensor(1)))) >= 1
