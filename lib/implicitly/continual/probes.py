"""Tasks from handwritten digits: regression that one teacher solves, and logistic probes on frozen features.

Features are random ReLU units of centred 8 x 8 pixels, scaled to mean length 1. Task m tells one of the digits 0-4
from one of 5-9; each class keeps its sign in all of its tasks. Chapter `greedy-orderings`. Everything is float64.
"""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import F64, choice, instance, number, tensor, whole
from .._validate import generator as checked_generator
from .._validate import seed as checked_seed
from ..data import digit_pixels
from .tasks import Tasks

__all__ = [
    "DigitPairs",
    "digit_pairs",
    "digit_tasks",
    "fit_logistic",
    "probe_run",
]


@dataclass(frozen=True, eq=False)
class DigitPairs:
    """Binary tasks of equal size, all float64.

    Args:
        X, y: samples (T, n, F) to train on, none of the sizes 0, and their labels (T, n), 1 or -1.
        X_test, y_test: samples (T, n', F) to test on, n' at least 1, and their labels (T, n').
    """

    X: Tensor
    y: Tensor
    X_test: Tensor
    y_test: Tensor

    def __post_init__(self):
        T, _, F = tensor("X", self.X, shape=("T", "n", "F"), dtype=F64).shape
        tensor("X_test", self.X_test, shape=(T, "n'", F), dtype=F64)
        for name in ("X", "X_test"):
            x = getattr(self, name)
            if not x.numel():
                raise ValueError(f"{name} must have tasks, samples and features, found shape {tuple(x.shape)}")
        _labels("y", self.y, self.X)
        _labels("y_test", self.y_test, self.X_test)


def _labels(name: str, y, X: Tensor) -> Tensor:
    y = tensor(name, y, shape=tuple(X.shape[:2]), dtype=F64)
    if not (y.abs() == 1).all():
        raise ValueError(f"{name} must hold labels 1 and -1, found {y[y.abs() != 1][0]:.6g}")
    return y


_LEAST = 174  # images of the rarest digit


@functools.cache
def _digits() -> tuple[Tensor, Tensor]:
    pixels, target = digit_pixels()
    x = torch.tensor(pixels, dtype=F64) / 16
    return x - x.mean(0), torch.tensor(target)


def digit_pairs(T: int, *, n: int = 120, features: int = 100, seed: int = 0) -> DigitPairs:
    """T pairs of digits, one of 0-4 and one of 5-9, chosen at random; training and test samples are disjoint.

    Args:
        T: number of tasks, from 1 to 25: as many such pairs exist.
        n: training samples of each task, even, from 2 to 240; half of them of each class. 54 of each class are left
            to test on.
        features: number F of random ReLU features, at least 1.
        seed: of the pairs, the samples and the features, in [0, 2**63).

    Returns:
        `DigitPairs`, float64.
    """
    T, n = whole("T", T, at_least=1, at_most=25), whole("n", n, at_least=2, at_most=240)
    if n % 2:
        raise ValueError(f"n must be even, found {n}")
    features = whole("features", features, at_least=1, at_most=10**4)
    g = torch.Generator().manual_seed(checked_seed("seed", seed))
    x, target = _digits()
    phi = (x @ torch.randn(64, features, generator=g, dtype=F64)).clamp(min=0)
    length = phi.norm(dim=1).mean()
    if not length > 0:
        raise ValueError(f"features must see the digits, found only zeros with {features} of them")
    phi = phi / length
    members = [(target == c).nonzero()[:, 0] for c in range(10)]
    members = [one[torch.randperm(len(one), generator=g)][:_LEAST] for one in members]
    pairs = torch.randperm(25, generator=g)[:T].tolist()
    half, signs = n // 2, torch.tensor([1.0, -1.0], dtype=F64)
    both = [torch.stack([members[p // 5], members[5 + p % 5]]) for p in pairs]
    train = torch.stack([one[:, :half].reshape(-1) for one in both])
    test = torch.stack([one[:, 120:].reshape(-1) for one in both])
    y, y_test = (signs.repeat_interleave(one.shape[1] // 2).expand(T, -1).clone() for one in (train, test))
    return DigitPairs(phi[train], y, phi[test], y_test)


def digit_tasks(T: int, *, n: int = 8, features: int = 100, seed: int = 0) -> Tasks:
    """Regression on pairs of digits that one teacher solves: labels ``X_m w`` of a least-squares fit w to the +-1.

    Args:
        T, features, seed: as in `digit_pairs`.
        n: samples of each task, even, from 2 to 240.

    Returns:
        `Tasks` with R = 1.
    """
    pairs = digit_pairs(T, n=n, features=features, seed=seed)
    X = pairs.X / torch.linalg.matrix_norm(pairs.X, 2).max()
    flat = X.reshape(-1, X.shape[2])
    w = torch.linalg.lstsq(flat, pairs.y.reshape(-1, 1), rcond=1e-8, driver="gelsd").solution[:, 0]
    return Tasks(X.unbind(), (X @ w).unbind())


def fit_logistic(w: Tensor, X: Tensor, y: Tensor, *, lam: float, smoothing: float = 0.05, steps: int = 15) -> Tensor:
    """Logistic regression held to the old weights, many at once, by Newton's method with a line search.

    Minimizes ``mean_i loss(y_i x_i . v) + (lam / 2) |v - w|^2`` over v; the labels are smoothed: the target is
    ``1 - smoothing / 2`` for the class, and the rest for the other.

    Args:
        w: old weights, (B, F), float64.
        X: samples, (B, n, F), float64, n at least 1.
        y: labels, (B, n), float64, +-1.
        lam: positive.
        smoothing: in [0, 1).
        steps: Newton steps, at least 0. Each is halved until the objective falls enough.

    Returns:
        v, (B, F), float64.
    """
    w = tensor("w", w, shape=("B", "F"), dtype=F64)
    X = tensor("X", X, shape=(len(w), "n", w.shape[1]), dtype=F64)
    if not X.shape[1] or not w.shape[1]:
        raise ValueError(f"X must have samples and features, found shape {tuple(X.shape)}")
    y = _labels("y", y, X)
    lam = number("lam", lam, at_least=1e-12, at_most=1e12)
    smoothing, steps = number("smoothing", smoothing, at_least=0.0, below=1.0), whole("steps", steps, at_least=0)
    return _fit(w, X, y, lam, smoothing, steps)


def _objective(z: Tensor, target: Tensor, pull: Tensor) -> Tensor:
    return (torch.nn.functional.softplus(z) - target * z).mean(1) + pull


def _fit(w, X, y, lam, smoothing, steps) -> Tensor:
    target = 0.5 + y * (0.5 - smoothing / 2)
    v, n = w.clone(), X.shape[1]
    eye = lam * torch.eye(w.shape[1], dtype=F64)
    for _ in range(steps):
        z = (X @ v[:, :, None])[:, :, 0]
        p = z.sigmoid()
        grad = ((p - target)[:, None] @ X)[:, 0] / n + lam * (v - w)
        hessian = (X * (p * (1 - p))[..., None]).mT @ X / n + eye
        move = torch.cholesky_solve(grad[..., None], torch.linalg.cholesky(hessian))[..., 0]
        fall = (grad * move).sum(1)
        across = (X @ move[:, :, None])[:, :, 0]
        start = _objective(z, target, lam / 2 * (v - w).square().sum(1))
        length = torch.ones_like(fall)
        for _ in range(40):
            there = v - length[:, None] * move
            value = _objective(z - length[:, None] * across, target, lam / 2 * (there - w).square().sum(1))
            # at the bottom the objective no longer falls beyond its rounding
            short = value > start - 1e-4 * length * fall + 1e-15 * start.abs()
            if not short.any():
                break
            length = torch.where(short, length / 2, length)
        v = v - length[:, None] * move
        if (fall <= 1e-14).all():  # near the minimum a step squares the distance: the next one changes nothing
            break
    return v


def probe_run(
    pairs: DigitPairs,
    rule: str,
    *,
    lam: float,
    smoothing: float = 0.05,
    runs: int = 1,
    generator: torch.Generator | None = None,
    look: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Learn the pairs one after the other in one pass from zero weights, each by `fit_logistic`.

    Args:
        pairs: the tasks.
        rule: ``"random"`` order; ``"distance"``: of the tasks that are left, the one whose fit moves the weights
            farthest, each tried; ``"nearest"``: the one whose fit moves them least; ``"residual"``: the one of largest
            training loss, without smoothing. The lowest index among equals.
        lam, smoothing: as in `fit_logistic`.
        runs: number of random orders B, at least 1; 1 for the other rules.
        generator: source of random orders, on the CPU; only for them.
        look: samples of a task that the rule ``"residual"`` looks at, from 1 to n, evenly spaced; left out, all. Only
            for this rule.

    Returns:
        The test accuracy, averaged over all tasks, after 1..T tasks, (B, T), float64; and the orders, (B, T), int64.
    """
    pairs = instance("pairs", pairs, DigitPairs)
    choice("rule", rule, ("random", "distance", "nearest", "residual"))
    lam = number("lam", lam, at_least=1e-12, at_most=1e12)
    smoothing, runs = number("smoothing", smoothing, at_least=0.0, below=1.0), whole("runs", runs, at_least=1)
    T, n, F = pairs.X.shape
    if look is not None and rule != "residual":
        raise ValueError(f"look must be left out for the rule {rule!r}, found {look!r}")
    look = n if look is None else whole("look", look, at_least=1, at_most=n)
    seen = torch.arange(look) * n // look
    if rule == "random":
        checked_generator("generator", generator, device="cpu")
        orders = torch.rand(runs, T, generator=generator, dtype=F64).argsort(dim=1, stable=True)
    elif generator is not None or runs != 1:
        raise ValueError(f"runs and generator must be left out for the rule {rule!r}, found one")
    w, left, chosen, accuracy = torch.zeros(runs, F, dtype=F64), list(range(T)), [], []
    for t in range(T):
        if rule == "random":
            now = orders[:, t]
            w = _fit(w, pairs.X[now], pairs.y[now], lam, smoothing, 15)
        else:
            if rule == "residual":
                margins = pairs.y[left][:, seen] * (pairs.X[left][:, seen] @ w[0])
                score = torch.nn.functional.softplus(-margins).mean(1)
            else:
                fits = _fit(w.expand(len(left), -1), pairs.X[left], pairs.y[left], lam, smoothing, 15)
                score = (fits - w).square().sum(1) * (1 if rule == "distance" else -1)
            best = int((score == score.max()).nonzero()[0])
            now = torch.tensor([left.pop(best)])
            w = _fit(w, pairs.X[now], pairs.y[now], lam, smoothing, 15) if rule == "residual" else fits[best : best + 1]
        chosen.append(now)
        right = pairs.y_test * (pairs.X_test @ w.T[None]).permute(2, 0, 1) > 0
        accuracy.append(right.double().mean((1, 2)))
    return torch.stack(accuracy, 1), torch.stack(chosen, 1)
