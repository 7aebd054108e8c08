r"""Many chains of overdamped Langevin dynamics, all steps in one call.

$$\theta \leftarrow \theta - \eta\Big(\nabla L(\theta) + \frac{\theta}{\beta s^2}\Big)
+ \sqrt{2\eta/\beta}\;\xi,$$

with a Gaussian prior of variance $s^2$ per coordinate, or none; reflected into a box, or not; with a
Metropolis correction (MALA, exact stationary law), or not (ULA, a bias of order $\eta$). The
potential is a polynomial in each coordinate or the mean logistic loss of a small tanh network.

Source: Harel et al., arXiv 2505.19087; chapter langevin-generalization, claims C1, C2 and C8.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, fresh, operator

_DISPATCH = dispatcher("langevin", "run")
FLOATS = (torch.float32, torch.float64)


@dataclass(frozen=True, eq=False)
class Polynomial:
    """L(theta) = sum_i sum_k coefficients[i, k] theta_i**k; coefficients (d, 5), degrees 0 to 4.

    coefficients: float32 or float64, finite; d >= 1.
    """

    coefficients: Tensor

    def __post_init__(self):
        check.tensor("coefficients", self.coefficients, dtypes=FLOATS, shape=(None, 5))
        if not len(self.coefficients):
            raise ValueError("coefficients: expected at least one row, got none")
        check.finite("coefficients", self.coefficients)


@dataclass(frozen=True, eq=False)
class TanhNet:
    """L(theta) = mean over n of softplus(z_n) - y_n z_n, z = w2 . tanh(W1 x), without biases.

    x: (N, d_in) inputs, float32 or float64, finite; N, d_in >= 1. y: (N,) labels 0 or 1, of any real dtype or bool.
    hidden: rows of W1, from 1 to 2**20.
    theta holds W1 row by row (hidden * d_in numbers), then w2 (hidden).
    """

    x: Tensor
    y: Tensor
    hidden: int

    def __post_init__(self):
        check.tensor("x", self.x, dtypes=FLOATS, ndim=2)
        if not self.x.numel():
            raise ValueError(f"x: expected at least one sample and one input, got shape {tuple(self.x.shape)}")
        check.tensor("y", self.y, device=self.x.device, shape=(self.x.shape[0],))
        if self.y.is_complex():
            raise TypeError(f"y: expected a real dtype, got {self.y.dtype}")
        check.hold(("x", self.x), _labels(self.y))
        object.__setattr__(self, "hidden", check.integer("hidden", self.hidden, at_least=1, at_most=2**20))


def _labels(y):
    """The condition that y holds labels."""
    good = (y == 0) | (y == 1)
    return good, check.refusal(lambda: f"y: expected labels 0 or 1, got {y[~good][0].item()}")


def _shapes(theta, beta, variance, box, a, b, kind, hidden, eta, steps, metropolis, seed, first_step,
      backend):
    return (torch.empty_like(theta, memory_format=torch.contiguous_format),
            theta.new_empty((theta.shape[0],)),
            theta.new_empty((theta.shape[0],), dtype=torch.int64))


@operator("langevin", _shapes, refuses="the chain is not differentiable")
def _run(theta: Tensor, beta: Tensor, variance: Tensor, box: Tensor, a: Tensor, b: Tensor,
         kind: str, hidden: int, eta: float, steps: int, metropolis: bool, seed: int,
         first_step: int, backend: str) -> tuple[Tensor, Tensor, Tensor]:
    told, box_holds, precision = check.refusal, theta.abs() <= box, 1 / variance
    valid = (precision >= 0) & torch.isfinite(precision)
    (boxed,) = check.hold(
        ("theta", theta), ("beta", beta),
        (beta > 0, told(lambda: f"beta: expected numbers > 0, got {beta.min().item()}")),
        (variance > 0, told(lambda: f"prior_var: expected variances > 0, got {variance.min().item()}")),
        (valid, told(lambda: "prior_var: expected variances > 0 with finite inverses, got one with the inverse "
                             f"{precision[~valid][0].item()}")),
        (box > 0, told(lambda: f"box: expected half widths > 0, got {box.min().item()}")),  # catches NaN
        (box_holds, told(lambda: f"theta: expected starts inside the box, got {theta[~box_holds][0].item()} at "
                                 f"{tuple((~box_holds).nonzero()[0].tolist())}")),
        ("coefficients" if kind == "polynomial" else "x", a),
        *([_labels(b)] if kind == "net" else []),
        also=[torch.isfinite(box).any()],
    )  # fmt: skip
    run = _DISPATCH(backend, theta)
    return fresh(run(theta, beta, precision, box, a, b, kind, hidden, eta, steps, metropolis, seed, first_step, boxed),
                 theta)


def _per_coordinate(name, value, theta, default):
    if value is None:
        return theta.new_full((theta.shape[1],), default)
    if isinstance(value, Tensor):
        check.tensor(name, value, dtypes=(theta.dtype,), device=theta.device,
                     shape=(theta.shape[1],))
        return value
    return theta.new_full((theta.shape[1],), check.positive(name, value, theta.dtype))


def langevin(theta: Tensor, potential: Polynomial | TanhNet, *, beta: float | Tensor, eta: float, steps: int,
             prior_var: float | Tensor | None = None, box: float | Tensor | None = None, metropolis: bool = False,
             seed: int = 0, first_step: int = 0, backend: str = "auto") -> tuple[Tensor, Tensor, Tensor]:
    """Run every chain for `steps` steps from theta.

    theta: (C, d) float32 (or float64, reference only), the starts.
    potential: Polynomial or TanhNet, tensors of theta's dtype and device.
    beta: inverse temperature > 0, a number or one per chain (C,). eta: step size > 0. These and the
       two below must be within the range of theta's dtype.
    prior_var: variance s^2 > 0 of a Gaussian prior, a number or (d,); None for none.
    box: half widths > 0 of a reflecting box, a number or (d,), inf for no wall; None for none. With `metropolis`
       a proposal outside the box is refused instead.
    metropolis: accept or refuse each step so that exp(-beta L) times the prior stays exact.
    seed: int in [0, 2**63). first_step: number of the first step, so that a run can be continued:
       normals and uniforms are addressed by (seed, chain, step, draw), see `reference`.

    Returns theta (C, d), its loss (C,) and accepted steps (C,) int64. Short runs of all backends
    agree to a relative error of 1e-5; a long chain is chaotic and only its law is claimed. A chain
    that diverges, for a step too large, raises nothing: it ends in inf or NaN. Nor does a Metropolis
    correction where beta L leaves the range of floats: it refuses every step.
    Not differentiable. Source: arXiv 2505.19087, chapter langevin-generalization, C1, C2 and C8.
    """
    check.tensor("theta", theta, dtypes=FLOATS, ndim=2)
    eta = check.positive("eta", eta, theta.dtype)
    steps = check.integer("steps", steps, at_least=0, at_most=2**31 - 1)
    first_step = check.integer("first_step", first_step, at_least=0, at_most=2**31 - 1 - steps)
    metropolis, seed = check.flag("metropolis", metropolis), check.seed(seed)
    check.backend(backend)
    chains, d = theta.shape
    if d == 0:
        raise ValueError("theta: expected at least one parameter a chain, got none")
    if isinstance(beta, Tensor):
        check.tensor("beta", beta, dtypes=(theta.dtype,), device=theta.device, shape=(chains,))
    else:
        beta = theta.new_full((chains,), check.positive("beta", beta, theta.dtype))
    if isinstance(potential, Polynomial):
        a, b, kind, hidden = potential.coefficients, theta.new_zeros(0), "polynomial", 0
        check.tensor("coefficients", a, dtypes=(theta.dtype,), device=theta.device, shape=(d, 5))
    elif isinstance(potential, TanhNet):
        a, b, kind, hidden = potential.x, potential.y, "net", potential.hidden
        check.tensor("x", a, dtypes=(theta.dtype,), device=theta.device)
        b = b.to(theta.dtype)
        if d != hidden * (a.shape[1] + 1):
            raise ValueError(
                f"theta: expected hidden * (d_in + 1) = {hidden * (a.shape[1] + 1)} parameters a "
                f"chain, got {d}"
            )
    else:
        raise TypeError(
            f"potential: expected a Polynomial or a TanhNet, got {type(potential).__name__}"
        )
    variance = _per_coordinate("prior_var", prior_var, theta, float("inf"))
    box = _per_coordinate("box", box, theta, float("inf"))
    return _run(theta, beta, variance, box, a, b, kind, hidden, eta, steps, metropolis, seed,
                first_step, backend)
