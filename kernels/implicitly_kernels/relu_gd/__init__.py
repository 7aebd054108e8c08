r"""Full-batch gradient descent of many tiny ReLU networks of one variable, the whole run in one call.

$$f(x) = \sum_{j \le k} w_{2,j}\,\mathrm{relu}(w_{1,j} x + b_{1,j}) + b_2, \qquad
L = \frac{1}{2n} \sum_{i \le n} (f(x_i) - y_i)^2,$$

with a constant step size for each network and relu'(0) = 0.

Source: Qiao et al., arXiv 2406.06838; chapter stable-minima, claims C1 to C9.
"""

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, fresh, operator

_DISPATCH = dispatcher("relu_gd", "descend")
FLOATS = (torch.float32, torch.float64)


def _check_shapes(w1, b1, w2, b2, x, y, step_size):
    check.tensor("w1", w1, dtypes=FLOATS, ndim=2)
    nets, k = w1.shape
    if k == 0:
        raise ValueError("w1: expected at least one neuron, got none")
    like = {"dtypes": (w1.dtype,), "device": w1.device}
    check.tensor("b1", b1, **like, shape=(nets, k))
    check.tensor("w2", w2, **like, shape=(nets, k))
    check.tensor("b2", b2, **like, shape=(nets,))
    check.tensor("x", x, **like, shape=(nets, None))
    if x.shape[1] == 0:
        raise ValueError("x: expected at least one sample, got none")
    check.tensor("y", y, **like, shape=tuple(x.shape))
    check.tensor("step_size", step_size, **like, shape=(nets,))


def _check_values(w1, b1, w2, b2, x, y, step_size):
    check.hold(
        ("w1", w1), ("b1", b1), ("w2", w2), ("b2", b2), ("x", x), ("y", y), ("step_size", step_size),
        (step_size > 0, check.refusal(lambda: f"step_size: expected numbers > 0, got {step_size.min().item()}")),
    )


def _shapes(w1, b1, w2, b2, x, y, step_size, steps, backend):
    return (*(w1.new_empty(w1.shape) for _ in range(3)), b2.new_empty(b2.shape),
            b2.new_empty(b2.shape))


@operator("relu_gd", _shapes)
def _descend(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, x: Tensor, y: Tensor,
             step_size: Tensor, steps: int, backend: str
             ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    _check_values(w1, b1, w2, b2, x, y, step_size)
    given = (w1, b1, w2, b2)
    return fresh(_DISPATCH(backend, w1)(*given, x, y, step_size, steps), *given)


def relu_gd(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, x: Tensor, y: Tensor,
            step_size: Tensor, steps: int, *, backend: str = "auto"
            ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run `steps` steps of gradient descent on L for every network.

    w1, b1, w2: (B, k) float64 or float32, the starts; k >= 1. b2: (B,). All tensors share w1's
       dtype and device and must be finite; none is changed.
    x, y: (B, n), each network's samples; n >= 1. step_size: (B,) numbers > 0.
    steps: int in [0, 2**31); 0 evaluates the loss.
    backend: "auto", "reference", "numba", "triton" (float32, k <= 256, n <= 1024; on a GPU "auto"
       takes the reference for more). numba spreads the networks over as many threads as
       torch has, or IMPLICITLY_THREADS says; results do not depend on how many.

    Returns w1, b1, w2, b2 and the loss (B,) at these parameters. A run that diverges raises
    nothing: its loss is inf or NaN, and so may be any of its parameters. Other networks of the
    batch do not notice. Runs of different backends agree to rounding as long as gradient descent
    itself does not amplify it (step_size below 2 over the sharpness); beyond the edge of stability
    a run is chaotic and only its statistics agree. Not differentiable. Raises TypeError or
    ValueError for bad arguments, RuntimeError for a named backend that cannot run.
    Cost: about 10 B k n operations a step. Source: arXiv 2406.06838, chapter stable-minima.
    """
    _check_shapes(w1, b1, w2, b2, x, y, step_size)
    steps = check.integer("steps", steps, at_least=0, at_most=2**31 - 1)
    check.backend(backend)
    return _descend(w1, b1, w2, b2, x, y, step_size, steps, backend)
