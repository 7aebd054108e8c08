r"""A pointwise function of periodic maps between two band-limited resamplings, in one call.

$$y = D\, f(U x U^\top)\, D^\top, \qquad
R_{ab} = \frac1n \sum_{|k| < \min(n, m)/2} \cos\Big(2\pi k \Big(\frac am - \frac bn\Big)\Big),$$

with $U$ the matrix $R$ from n to m points a side and $D$ that from m to `size`. A polynomial f of degree D on
n x n maps commutes with every cyclic shift, also by fractions of a pixel, if the fine grid has more than (D+1)K points
a side, where K is the highest frequency below n/2.

Source: Michaeli, Soudry, arXiv 2510.22673; chapter alias-free-vit.
"""

from numbers import Real

from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, fresh, operator
from implicitly_kernels.up_act_down.reference import FLOATS, MOST, resample_matrix

__all__ = ["resample_matrix", "up_act_down"]

_DISPATCH = {name: dispatcher("up_act_down", name, f"up_act_down {name}") for name in ("run", "backward")}
ACTIVATIONS = ("identity", "poly", "gelu", "relu")


def _backward_shapes(grad, x, coefficients, activation, fine, size, backend):
    return x.new_empty(x.shape), coefficients.new_empty(coefficients.shape)


@operator("up_act_down_backward", _backward_shapes, refuses="its gradient is not differentiable")
def _run_backward(grad: Tensor, x: Tensor, coefficients: Tensor, activation: str, fine: int, size: int, backend: str
                  ) -> tuple[Tensor, Tensor]:
    grad, x, coefficients = (v.contiguous() for v in (grad, x, coefficients))
    out = _DISPATCH["backward"](backend, x)(grad, x, coefficients, activation, fine, size)
    return fresh(out, grad, x, coefficients)


def _keep(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:2])
    ctx.rest = inputs[2:]


def _backward(ctx, grad):
    return *_run_backward(grad, *ctx.saved_tensors, *ctx.rest), *[None] * 4


def _shapes(x, coefficients, activation, fine, size, backend):
    return x.new_empty((x.shape[0], size, size))


@operator("up_act_down", _shapes, backward=_backward, setup=_keep)
def _run(x: Tensor, coefficients: Tensor, activation: str, fine: int, size: int, backend: str) -> Tensor:
    given = x.contiguous(), coefficients.contiguous()
    return fresh((_DISPATCH["run"](backend, x)(*given, activation, fine, size),), *given)[0]


def _fine(factor, n):
    """Points a side of the fine grid."""
    plain = check.positive("factor", factor)
    if plain < 1:
        raise ValueError(f"factor: expected a number >= 1, got {plain}")
    if plain * n > MOST + 0.5:
        raise ValueError(f"factor, x: expected a fine grid of at most {MOST} points a side, got {plain} * {n}")
    fine = round(plain * n)
    if abs(plain * n - fine) > 1e-12 * fine:
        raise ValueError(f"factor: expected factor * {n} to be a whole number of points, got {plain} * {n}")
    return fine


def _coefficients(value, activation, x):
    """(C, 3), channels in turn; (0, 3) for an activation that has none."""
    if activation != "poly":
        if value is not None:
            raise ValueError(f"coefficients: expected None for the activation {activation!r}, got a "
                             f"{type(value).__name__}")
        return x.new_zeros((0, 3))
    if value is None:
        raise ValueError("coefficients: expected a tensor for the activation 'poly', got None")
    check.tensor("coefficients", value, dtypes=(x.dtype,), device=x.device)
    if tuple(value.shape) == (3,):
        return value[None]
    if x.ndim < 3 or tuple(value.shape) != (x.shape[-3], 3):
        channels = f" or ({x.shape[-3]}, 3)" if x.ndim > 2 else ""
        raise ValueError(f"coefficients: expected shape (3,){channels}, got {tuple(value.shape)}")
    return value


def up_act_down(x: Tensor, activation: str, *, coefficients: Tensor | None = None, factor: Real = 2.0,
                size: int | None = None, backend: str = "auto") -> Tensor:
    """Resample each map to a fine grid, apply the activation there, resample down.

    x: (..., n, n) float32 or float64, n >= 2: square maps on a cyclic grid, channels in dimension -3.
    activation: "identity", "poly" (c0 + c1 u + c2 u^2), "gelu" (u Phi(u), by erf) or "relu".
    coefficients: (3,), or (C, 3) for the C channels, for "poly", in x's dtype; None for the others.
    factor: points of the fine grid over n, a number >= 1 with factor * n a whole number, at most 4096.
    size: points a side of the result, 1 to n; None for n. Smaller ones fuse activation and down-sampling.
    backend: "auto", "reference", "numba", "triton".

    Both resamplings are those of `resample_matrix`, which keep frequencies below half of the smaller grid: also at
    factor 1 they empty the Nyquist row and column of an even n. Returns (..., size, size) in x's dtype. A map that
    holds a NaN becomes NaN; other maps do not notice. float32 is computed in float32, never in tf32. Differentiable in
    x and in the coefficients, once. Raises TypeError or ValueError for bad arguments, RuntimeError for a named
    backend that cannot run. Cost: 24 n^3 operations a map and 4 n^2 activations at factor 2.
    Source: arXiv 2510.22673, chapter alias-free-vit.

    >>> import torch
    >>> x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # nothing but the Nyquist bin
    >>> up_act_down(x, "identity", factor=1, backend="reference")
    tensor([[0., 0.],
            [0., 0.]])
    """
    check.tensor("x", x, dtypes=FLOATS)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2] or x.shape[-1] < 2:
        raise ValueError(f"x: expected square maps (..., n, n), n >= 2, got shape {tuple(x.shape)}")
    n = x.shape[-1]
    check.one_of("activation", activation, ACTIVATIONS)
    fine = _fine(factor, n)
    size = n if size is None else check.integer("size", size, at_least=1, at_most=n)
    coefficients = _coefficients(coefficients, activation, x)
    check.backend(backend)
    return _run(x.reshape(-1, n, n), coefficients, activation, fine, size, backend).reshape(*x.shape[:-2], size, size)
