r"""A step of Adam that knows r directions of each matrix, from the projected gradient to the lifted step, in one call.

With a gradient $G$ of m rows and n columns, m at most n, directions $P$ (m, r) and their weights $w$:

$$Y = P^\top G, \quad M \leftarrow \beta_1 M + (1-\beta_1) Y, \quad
V \leftarrow \beta_2 V + (1-\beta_2)\, Y \circ Y, \quad
W \leftarrow (1 - \eta\lambda) W - \eta\, P \operatorname{diag}(w)\,
\frac{M / (1-\beta_1^t)}{\sqrt{V / (1-\beta_2^t)} + \epsilon} .$$

When directions change, to $P'$, the moments become $R M$ and $(R \circ R) V$ with $R = P'^\top P$. A matrix with more
rows than columns is stepped by its transpose.

Source: chapter low-rank-gradients.
"""

from numbers import Real

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, operator

__all__ = ["low_rank_adam", "low_rank_realign"]

_DISPATCH = {name: dispatcher("low_rank_adam", name, f"low_rank_{call}")
             for name, call in (("step", "adam"), ("realign", "realign"))}  # fmt: skip
FLOATS = (torch.float32, torch.float64)
HALVES = (torch.bfloat16, torch.float16)


def _nothing(*given):
    return None


@operator("low_rank_adam", _nothing, mutates=("weight", "exp_avg", "exp_avg_sq"),
          refuses="a step is not differentiable: take it under torch.no_grad()")
def _step(weight: Tensor, grad: Tensor, basis: Tensor, scale: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, step: int,
          lr: float, beta1: float, beta2: float, eps: float, decay: float, backend: str) -> None:
    _DISPATCH["step"](backend, weight)(weight, grad, basis, scale, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps,
                                       decay)  # fmt: skip


def _shapes(R, exp_avg, exp_avg_sq, backend):
    shape = (*R.shape[:-1], exp_avg.shape[-1])
    return exp_avg.new_empty(shape), exp_avg.new_empty(shape)


@operator("low_rank_realign", _shapes, refuses="moments are not differentiable")
def _realign(R: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, backend: str) -> tuple[Tensor, Tensor]:
    return _DISPATCH["realign"](backend, exp_avg)(R, exp_avg, exp_avg_sq)


def _matrices(name, value, dtypes, **more):
    check.tensor(name, value, dtypes=dtypes, **more)
    if value.ndim < 2 or 0 in value.shape[-2:]:
        raise ValueError(f"{name}: expected shape (..., rows, columns), both at least 1, got {tuple(value.shape)}")


def low_rank_adam(weight: Tensor, grad: Tensor, basis: Tensor, scale: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, *,
                  step: int, lr: Real, betas: tuple[Real, Real] = (0.9, 0.999), eps: Real = 1e-8, decay: Real = 0.0,
                  backend: str = "auto") -> None:
    """One step of Adam on P^T G: project the gradient, update the moments, lift, apply. Changes three arguments.

    weight: (..., a, b), float32, float64, bfloat16 or float16: matrices W, changed in place. Of each the shorter side,
       m = min(a, b), is projected, the rows of a square one; n is the other.
    grad: their gradients, in the shape of weight; float32 for a weight in half precision, else in its dtype.
    basis: P, (..., m, r), r at most m. scale: w, (..., r): what the lift multiplies each direction by. In grad's dtype.
    exp_avg, exp_avg_sq: the moments M and V, (..., r, n) also where a > b, in grad's dtype, changed in place; zeros
       before the first step.
    step: the number t of this step, from 1. lr: eta, betas: each at least 0 and below 1, eps, decay: of AdamW, lambda;
       at least 0.
    backend: "auto", "reference", "triton" (float32, r at most 128); on the CPU the reference runs.

    Returns None. Not differentiable: raises NotImplementedError where a gradient would be recorded. Raises TypeError or
    ValueError for bad arguments, RuntimeError for a named backend that cannot run. NaN and infinities pass through, as
    in torch.optim.Adam. Cost: 4mnr operations; 12mn bytes in float32, and 16rn for the moments.
    Source: chapter low-rank-gradients.

    >>> import torch
    >>> W, P = torch.zeros(2, 3), torch.tensor([[1.0], [0.0]])  # the first row alone
    >>> M, V = torch.zeros(1, 3), torch.zeros(1, 3)
    >>> low_rank_adam(W, torch.ones(2, 3), P, torch.ones(1), M, V, step=1, lr=0.5)
    >>> W
    tensor([[-0.5000, -0.5000, -0.5000],
            [ 0.0000,  0.0000,  0.0000]])
    """
    _matrices("weight", weight, FLOATS + HALVES)
    half, where = weight.dtype in HALVES, weight.device
    check.tensor("grad", grad, dtypes=(torch.float32 if half else weight.dtype,), device=where,
                 shape=tuple(weight.shape))  # fmt: skip
    batch, (m, n), kind = weight.shape[:-2], sorted(weight.shape[-2:]), (grad.dtype,)
    check.tensor("basis", basis, dtypes=kind, device=where, shape=(*batch, m, None))
    r = basis.shape[-1]
    if not 1 <= r <= m:
        raise ValueError(f"basis: expected 1 to {m} directions, got shape {tuple(basis.shape)}")
    check.tensor("scale", scale, dtypes=kind, device=where, shape=(*batch, r))
    check.tensor("exp_avg", exp_avg, dtypes=kind, device=where, shape=(*batch, r, n))
    check.tensor("exp_avg_sq", exp_avg_sq, dtypes=kind, device=where, shape=(*batch, r, n))
    step = check.integer("step", step, at_least=1, at_most=2**53)
    most = torch.finfo(grad.dtype).max
    lr, eps, decay = (check.number(name, value, at_least=0, at_most=most)
                      for name, value in (("lr", lr), ("eps", eps), ("decay", decay)))  # fmt: skip
    betas = check.numbers("betas", betas, length=2, at_least=0, below=1)
    check.backend(backend)
    _step(weight, grad, basis, scale, exp_avg, exp_avg_sq, step, lr, *betas, eps, decay, backend)


def low_rank_realign(R: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, *, backend: str = "auto"
                     ) -> tuple[Tensor, Tensor]:
    """The moments of `low_rank_adam` in new directions: R M and (R * R) V, in one pass over their columns.

    R: (..., s, r), P'^T P of s new and r old directions, float32 or float64.
    exp_avg, exp_avg_sq: M and V, (..., r, n), in R's dtype.
    backend: "auto", "reference", "triton" (float32, r and s at most 128); on the CPU the reference runs.

    Returns two tensors (..., s, n). Not differentiable. Raises TypeError or ValueError for bad arguments, RuntimeError
    for a named backend that cannot run. Cost: 4srn operations, 8(r + s)n bytes in float32.
    Source: chapter low-rank-gradients.

    >>> import torch
    >>> swap = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    >>> low_rank_realign(swap, torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]]))
    (tensor([[-2.],
            [ 1.]]), tensor([[4.],
            [3.]]))
    """
    _matrices("R", R, FLOATS)
    shape = (*R.shape[:-2], R.shape[-1], None)
    check.tensor("exp_avg", exp_avg, dtypes=(R.dtype,), device=R.device, shape=shape)
    check.tensor("exp_avg_sq", exp_avg_sq, dtypes=(R.dtype,), device=R.device, shape=tuple(exp_avg.shape))
    check.backend(backend)
    return _realign(R, exp_avg, exp_avg_sq, backend)
