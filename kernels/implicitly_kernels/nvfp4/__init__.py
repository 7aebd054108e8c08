r"""FP4 block quantization: NVFP4 (blocks of 16, E4M3 scales) and MXFP4 (blocks of 32, powers of two).

For a block with largest magnitude $m$:

- NVFP4: $s = \mathrm{E4M3}(m / 6g)\, g$ with one float32 scale $g$ for the whole tensor.
- MXFP4: $s = 2^{\lfloor \log_2 m \rfloor - 2}$, or with `scale="up"` $2^{\lceil \log_2 (m/6) \rceil}$.

Each element becomes the nearest of $\pm\{0, .5, 1, 1.5, 2, 3, 4, 6\}$ times $s$, or one of the two
neighbours at random with the mean kept (`rounding="sr"`). The division by $s$ is a true division.

Sources: OCP Microscaling Formats v1.0 (element and E8M0 formats); chapter fp4-training, claims C2, C4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, operator
from implicitly_kernels.nvfp4.reference import BLOCK

_DISPATCH = {name: dispatcher("nvfp4", name, f"nvfp4_{name}") for name in ("qdq", "quantize", "dequantize")}
FLOATS = (torch.float32, torch.bfloat16, torch.float16)


def _check_x(x):
    check.tensor("x", x, dtypes=FLOATS)
    if x.ndim == 0:
        raise ValueError("x: expected at least 1 dimension, got a scalar")


def _check_modes(fmt, scale, rounding, seed, backend):
    """The seed as an int."""
    check.one_of("scale", scale, ("nearest", "up") if fmt == "nvfp4" else ("floor", "up"))
    check.one_of("rounding", rounding, ("rtn", "sr"))
    check.backend(backend)
    return check.seed(seed)


def _positive(gs, given):
    """The condition that gs is one; none for what was a number, which was looked at before it came to a device."""
    refuse = check.refusal(lambda: f"gs: expected a finite number > 0, got {gs.item()}")
    return [(torch.isfinite(gs) & (gs > 0), refuse)] if given else []


def _qdq_shapes(x, gs, fmt, scale, rounding, seed, backend, given=True):
    return x.new_empty(x.shape, dtype=torch.float32)


def _straight_through(ctx, grad):
    return grad, *[None] * 7


@operator("fp4_qdq", _qdq_shapes, backward=_straight_through)
def _qdq(x: Tensor, gs: Tensor, fmt: str, scale: str, rounding: str, seed: int,
         backend: str, given: bool = True) -> Tensor:
    check.hold(*_positive(gs, given))
    return _DISPATCH["qdq"](backend, x)(x, gs, fmt, scale, rounding, seed)


def _quantize_shapes(x, gs, fmt, scale, rounding, seed, backend, given=True):
    lead, k = x.shape[:-1], x.shape[-1]
    return (x.new_empty((*lead, k // 2), dtype=torch.uint8),
            x.new_empty((*lead, k // BLOCK[fmt]), dtype=torch.uint8))


@operator("fp4_quantize", _quantize_shapes, refuses="codes are not differentiable")
def _quantize(x: Tensor, gs: Tensor, fmt: str, scale: str, rounding: str, seed: int,
              backend: str, given: bool = True) -> tuple[Tensor, Tensor]:
    check.hold(*_positive(gs, given))
    return _DISPATCH["quantize"](backend, x)(x, gs, fmt, scale, rounding, seed)


def _dequantize_shapes(codes, scales, gs, fmt, backend, given=True):
    return codes.new_empty((*codes.shape[:-1], codes.shape[-1] * 2), dtype=torch.float32)


@operator("fp4_dequantize", _dequantize_shapes, refuses="codes are not differentiable")
def _dequantize(codes: Tensor, scales: Tensor, gs: Tensor, fmt: str, backend: str, given: bool = True) -> Tensor:
    bytes_hold = [(scales <= 0x7F, check.refusal(
        lambda: f"scales: expected E4M3 bytes below 0x80 (scales are never negative), got {scales.max().item():#x}"
    ))] if fmt == "nvfp4" else []
    check.hold(*bytes_hold, *_positive(gs, given))
    return _DISPATCH["dequantize"](backend, codes)(codes, scales, gs, fmt)


def _gs(gs, device):
    """gs as a tensor; whether it was given as one."""
    if isinstance(gs, Tensor):
        check.tensor("gs", gs, dtypes=(torch.float32,), ndim=0, device=device)
        return gs, True
    # full writes it on the device; torch.tensor would copy it there, and wait
    return torch.full((), check.positive("gs", gs, torch.float32), dtype=torch.float32, device=device), False


def _qdq_any(x, gs, fmt, scale, rounding, seed, backend):
    _check_x(x)
    seed = _check_modes(fmt, scale, rounding, seed, backend)
    k = x.shape[-1]
    padded = F.pad(x, (0, -k % BLOCK[fmt])) if k % BLOCK[fmt] else x
    gs, given = _gs(gs, x.device)
    out = _qdq(padded, gs, fmt, scale, rounding, seed, backend, given)
    return out[..., :k].to(x.dtype)


def _quantize_any(x, gs, fmt, scale, rounding, seed, backend):
    _check_x(x)
    if x.shape[-1] % BLOCK[fmt]:
        raise ValueError(
            f"x: expected a last dimension that is a multiple of {BLOCK[fmt]}, "
            f"got shape {tuple(x.shape)}; pad it with zeros"
        )
    seed = _check_modes(fmt, scale, rounding, seed, backend)
    gs, given = _gs(gs, x.device)
    return _quantize(x, gs, fmt, scale, rounding, seed, backend, given)


def _dequantize_any(codes, scales, gs, fmt, backend):
    check.tensor("codes", codes, dtypes=(torch.uint8,))
    if codes.ndim == 0 or codes.shape[-1] * 2 % BLOCK[fmt]:
        raise ValueError(
            f"codes: expected a last dimension that is a multiple of {BLOCK[fmt] // 2} bytes, "
            f"got shape {tuple(codes.shape)}"
        )
    check.tensor("scales", scales, dtypes=(torch.uint8,), device=codes.device,
                 shape=(*codes.shape[:-1], codes.shape[-1] * 2 // BLOCK[fmt]))
    check.backend(backend)
    gs, given = _gs(gs, codes.device)
    return _dequantize(codes, scales, gs, fmt, backend, given)


def nvfp4_global_scale(x: Tensor) -> Tensor:
    """The tensor scale max|x| / (6 * 448), which uses the whole E4M3 range; 1 for an all-zero x.

    x: float tensor, any shape, finite. Returns a 0-d float32 tensor on x's device.
    """
    check.tensor("x", x, dtypes=FLOATS)
    check.finite("x", x)
    if x.numel() == 0:
        return torch.ones((), dtype=torch.float32, device=x.device)
    amax = x.detach().abs().amax().float()
    # a tensor: by a number a GPU multiplies with its rounded reciprocal, an ulp off the CPU's quotient
    scale = amax / torch.full_like(amax, 2688.0)
    return torch.where(scale == 0, torch.ones_like(scale), scale)


def nvfp4_qdq(x: Tensor, *, gs: float | Tensor = 1.0, scale: str = "nearest", rounding: str = "rtn", seed: int = 0,
              backend: str = "auto") -> Tensor:
    """Quantize x to NVFP4 and back.

    x: (..., K) float32, bfloat16 or float16. Blocks of 16 run along the last axis, which is padded
       with zeros where K is not a multiple of 16.
    gs: float or 0-d float32 tensor, > 0: the tensor's scale (`nvfp4_global_scale`).
    scale: "nearest" (E4M3 nearest-even, may clip the block's largest element) or "up" (never clips).
    rounding: "rtn" (nearest, ties to even) or "sr" (stochastic, unbiased where nothing clips).
    seed: int in [0, 2**63). Element i of the flattened padded x uses word i % 4 of
       Philox(seed, i // 4, 0, 0).
    backend: "auto", "reference", "numba", "triton".

    Returns the dtype and shape of x. A NaN makes its block NaN, an infinity saturates, signs of
    zeros are kept. The gradient is straight-through. Raises TypeError/ValueError for bad arguments,
    RuntimeError for a named backend that cannot run. Source: chapter fp4-training, claims C2, C4.
    """
    return _qdq_any(x, gs, "nvfp4", scale, rounding, seed, backend)


def mxfp4_qdq(x: Tensor, *, scale: str = "floor", rounding: str = "rtn", seed: int = 0, backend: str = "auto"
              ) -> Tensor:
    """Quantize x to MXFP4 and back: blocks of 32, power-of-two scales.

    scale: "floor" (the OCP rule, clips) or "up" (never clips; may overflow above 2**127).
    Everything else as in `nvfp4_qdq`. Source: OCP Microscaling Formats v1.0.
    """
    return _qdq_any(x, 1.0, "mxfp4", scale, rounding, seed, backend)


def nvfp4_quantize(x: Tensor, *, gs: float | Tensor = 1.0, scale: str = "nearest", rounding: str = "rtn",
                   seed: int = 0, backend: str = "auto") -> tuple[Tensor, Tensor]:
    """NVFP4 codes and scales of x (..., K), K a multiple of 16; arguments as in `nvfp4_qdq`.

    Returns uint8 codes (..., K/2), two a byte, low nibble first, sign in bit 3; and uint8 E4M3
    scale bytes (..., K/16). A block that holds a NaN gets scale byte 0x7F.
    """
    return _quantize_any(x, gs, "nvfp4", scale, rounding, seed, backend)


def mxfp4_quantize(x: Tensor, *, scale: str = "floor", rounding: str = "rtn", seed: int = 0,
                   backend: str = "auto") -> tuple[Tensor, Tensor]:
    """MXFP4 codes (..., K/2) and E8M0 scale bytes (..., K/32) of x (..., K), K a multiple of 32."""
    return _quantize_any(x, 1.0, "mxfp4", scale, rounding, seed, backend)


def nvfp4_dequantize(codes: Tensor, scales: Tensor, *, gs: float | Tensor = 1.0, backend: str = "auto") -> Tensor:
    """float32 (..., K) from the codes and scales of `nvfp4_quantize`; equals `nvfp4_qdq`."""
    return _dequantize_any(codes, scales, gs, "nvfp4", backend)


def mxfp4_dequantize(codes: Tensor, scales: Tensor, *, backend: str = "auto") -> Tensor:
    """float32 (..., K) from the codes and scales of `mxfp4_quantize`; equals `mxfp4_qdq`."""
    return _dequantize_any(codes, scales, 1.0, "mxfp4", backend)
