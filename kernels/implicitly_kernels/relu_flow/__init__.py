r"""Score flow and probability flow of many particles under a closed-form shallow ReLU denoiser.

The minimum-norm denoiser of data $x_1, x_1 + L_n u_n$ at noise radius $\rho$ is

$$h_\rho(y) = x_1 + \sum_n u_n\, \phi_n(u_n \cdot (y - x_1)), \qquad
\phi_n(z) = \mathrm{clip}\Big(\frac{L_n (z - \rho)}{L_n - 2\rho},\, 0,\, L_n\Big),$$

and the flow is $x' = h_\rho(x) - x$: at fixed $\rho$ the score flow, with $\rho = \alpha e^{-\tau}$ in
time $\tau = -\ln \sigma$ the probability flow. One call integrates all particles over all steps.

Source: Zeno et al., arXiv 2506.19031; chapter score-flow, claims C1 to C7.
"""

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, operator
from implicitly_kernels.relu_flow import reference
from implicitly_kernels.relu_flow._coordinates import saves

_DISPATCH = dispatcher("relu_flow", "flow")
FLOATS = (torch.float32, torch.float64)


def _check_shapes(x, u, length, rho, dt, origin):
    check.tensor("x", x, dtypes=FLOATS, ndim=2)
    check.tensor("u", u, dtypes=(x.dtype,), device=x.device, shape=(None, x.shape[1]))
    m = u.shape[0]
    if m == 0:
        raise ValueError("u: expected at least one row, got none")
    times = {"dtypes": (*FLOATS, torch.int64), "device": x.device}
    check.tensor("length", length, **times, shape=(m,))
    check.tensor("dt", dt, **times, ndim=1)
    check.tensor("rho", rho, **times, shape=(dt.numel() + 1,))
    if origin is not None:
        check.tensor("origin", origin, dtypes=(x.dtype,), device=x.device, shape=(x.shape[1],))


def _check_values(x, u, length, rho, dt, origin):
    def positive(name, value):
        return value > 0, check.refusal(lambda: f"{name}: expected numbers > 0, got {value.min().item()}")

    check.hold(
        ("x", x), ("u", u), ("length", length), ("rho", rho), ("dt", dt), ("origin", origin),
        ((u.double().norm(dim=1) - 1).abs() <= 1e-4, check.refusal(
            lambda: "u: expected rows of norm 1, got norms from "
                    f"{u.norm(dim=1).min():.6g} to {u.norm(dim=1).max():.6g}")),
        positive("length", length),
        (rho >= 0, check.refusal(lambda: f"rho: expected numbers >= 0, got {rho.min().item()}")),
        (rho.max() < 0.5 * length.min(), check.refusal(
            lambda: f"rho: expected less than half of the shortest length ({0.5 * length.min().item()}), "
                    f"or the balls overlap; got {rho.max().item()}")),
        positive("dt", dt),
    )  # fmt: skip


def _shapes(x, u, length, rho, dt, origin, method, save_every, backend):
    return x.new_empty((saves(dt.shape[0], save_every), *x.shape))


def _keep(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:6])
    ctx.method, ctx.save_every = inputs[6:8]


def _backward(ctx, grad):
    """The gradient in x, by running the reference again: the trajectory is not stored."""
    if any(ctx.needs_input_grad[1:6]):
        raise NotImplementedError("relu_flow: only x is differentiable")
    x, *rest = ctx.saved_tensors
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        out = reference.flow(x, *rest, ctx.method, ctx.save_every)
        (grad_x,) = torch.autograd.grad(out, x, grad)
    return grad_x, *[None] * 8


@operator("relu_flow", _shapes, backward=_backward, setup=_keep)
def _flow(x: Tensor, u: Tensor, length: Tensor, rho: Tensor, dt: Tensor, origin: Tensor,
          method: str, save_every: int, backend: str) -> Tensor:
    _check_values(x, u, length, rho, dt, origin)
    run = _DISPATCH(backend, x)
    return run(x, u, length, rho, dt, origin, method, save_every)


def relu_flow(x: Tensor, u: Tensor, length: Tensor, rho: Tensor, dt: Tensor, *,
              origin: Tensor | None = None, method: str = "euler", save_every: int = 0,
              backend: str = "auto") -> Tensor:
    """Integrate x' = h_rho(x) - x for all particles over all steps.

    x: (B, d) float32 or float64, the starts.
    u: (m, d), m >= 1, same dtype and device: unit directions of the edges from the first data point.
    length: (m,) edge lengths. rho: (T+1,) noise radius at each time, below half the shortest
       length. dt: (T,) step sizes. These three, of float32, float64 or int64, are read as float64.
    origin: (d,) the first data point; zero by default.
    method: "euler" (uses rho[:T]) or "heun" (second order, uses rho[k] and rho[k+1]).
    save_every: 0 returns the last state only, k > 0 every k-th state from the start.
    backend: "auto", "reference", "numba", "triton" (float32, m <= 128).

    Returns (B, d), or (T // save_every + 1, B, d). Float backends agree to a relative error of
    1e-5 where the flow itself does not amplify rounding (a start on L/2 is unstable). A flow that
    diverges, for steps above 2, raises nothing: it ends in inf or NaN. Gradients flow to x. Raises
    TypeError/ValueError for bad arguments, RuntimeError for a named backend that cannot run.
    Cost: 2 T B m^2 operations (fast backends), 4 T B m d (reference).
    Source: arXiv 2506.19031, chapter score-flow, claims C1 to C7.
    """
    _check_shapes(x, u, length, rho, dt, origin)
    check.one_of("method", method, ("euler", "heun"))
    save_every = check.integer("save_every", save_every, at_least=0, at_most=max(1, dt.numel()))
    check.backend(backend)
    if origin is None:
        origin = torch.zeros(x.shape[1], dtype=x.dtype, device=x.device)
    out = _flow(x, u, length.double(), rho.double(), dt.double(), origin, method, save_every,
                backend)
    return out if save_every else out[0]
