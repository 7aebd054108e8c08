"""Gradient descent of a linear classifier on a PERM loss, with steps that may grow as the loss falls.

Arrays are torch tensors, float64 unless said otherwise, and finite. Bad arguments raise TypeError or ValueError.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._validate import each, tensor, whole, wholes
from .losses import PermLoss, _loss
from .risk import _margins, _samples, _wrong, labels

__all__ = [
    "Path",
    "descend",
]


@dataclass(frozen=True, eq=False)
class Path:
    """Gradient descent on B problems, recorded at T step counts.

    Args:
        steps: the T step counts, increasing.
        W: ``(T, B, K, d)``.
        log_time: ``(T, B)``, ln of the sum of the step sizes so far; -inf before the first step.
        log_risk: ``(T, B)``.
    """

    steps: tuple[int, ...]
    W: Tensor
    log_time: Tensor
    log_risk: Tensor

    def __post_init__(self):
        steps = wholes("steps", self.steps, at_least=0, increase=True)
        object.__setattr__(self, "steps", steps)
        T = len(steps)
        B = tensor("W", self.W, shape=(T, "B", "K", "d"), dtype=torch.float64).shape[1]
        tensor("log_risk", self.log_risk, shape=(T, B), dtype=torch.float64)
        clock = tensor("log_time", self.log_time, shape=(T, B), dtype=torch.float64, finite=False)
        if not bool((clock < math.inf).all()):
            raise ValueError("log_time must be below infinity, found NaN or infinity")

    def split(self) -> list["Path"]:
        """The B problems one by one, as paths of one problem each."""
        columns = ([kept[:, b : b + 1].contiguous() for kept in (self.W, self.log_time, self.log_risk)]
                   for b in range(self.W.shape[1]))  # fmt: skip
        return [Path(self.steps, *column) for column in columns]

    @staticmethod
    def _within(clock, wanted):
        if not bool((clock[1:] >= clock[:-1]).all()):
            raise ValueError("log_time of the path must not decrease, found a fall")
        if wanted.min() < clock[0] or wanted.max() > clock[-1]:
            raise ValueError(
                f"log_times must lie between {clock[0]:.4g} and {clock[-1]:.4g}, the first and last record, "
                f"found {wanted.min():.4g} to {wanted.max():.4g}"
            )

    @staticmethod
    def _wanted(log_times) -> Tensor:
        wanted = tensor("log_times", log_times, shape=("M",), convert=torch.float64).contiguous()
        if wanted.numel() < 1:
            raise ValueError("log_times must hold at least one number, found none")
        return wanted

    def steps_around(self, log_times: ArrayLike) -> list[int]:
        """All step counts between the two records that enclose a value of ln(time), of any problem: for a finer run.

        Args:
            log_times: ``(M,)`` values between the first and the last record of every problem: a tensor, array or list.
        """
        wanted, found = self._wanted(log_times), set()
        for clock in self.log_time.T.contiguous():
            self._within(clock, wanted)
            for later in torch.searchsorted(clock, wanted).clamp(min=1).tolist():
                found |= set(range(self.steps[later - 1], self.steps[min(later, len(clock) - 1)] + 1))
        return sorted(found)

    def at(self, log_times: ArrayLike, problem: int | None = None) -> Tensor:
        """W at values of ln(time), interpolated linearly in ln(time) between the records.

        Between step 0, whose ln(time) is -inf, and the next record it is interpolated linearly in time: a step of
        gradient descent is linear in its length.

        Args:
            log_times: ``(M,)`` values between the first and the last record: a tensor, array or list.
            problem: which one, 0 to B - 1; all if left out.

        Returns:
            ``(M, B, K, d)``, or ``(M, K, d)`` of one `problem`.
        """
        wanted, B = self._wanted(log_times), self.W.shape[1]
        problems = range(B) if problem is None else [whole("problem", problem, at_least=0, at_most=B - 1)]
        columns = []
        for b in problems:
            clock = self.log_time[:, b].contiguous()
            self._within(clock, wanted)
            j = torch.searchsorted(clock, wanted).clamp(min=1, max=max(len(clock) - 1, 0))
            i = (j - 1).clamp(min=0)
            start, end = clock[i], clock[j]
            part = torch.where(start.isneginf(), (wanted - end).exp(), (wanted - start) / (end - start))
            part = torch.where(start == end, 0.0, part)[:, None, None]
            columns.append(torch.lerp(self.W[i, b], self.W[j, b], part))
        return torch.stack(columns, 1) if problem is None else columns[0]


def _generic(W, X, y, steps, loss, step_size, normalized, log_time):
    """Steps of gradient descent in torch, for any template: the readable and slow twin of the kernel `perm_gd`."""
    K = W.shape[1]
    wrong = _wrong(y, K)
    log_bound = (2 * X.square().sum(-1).amax(-1)).log()  # ln of 2 max |x_i|**2, (B,)
    curvature = loss.log_curvature or loss.log_psi
    for _ in range(steps):
        u = _margins(X @ W.mT, y)
        if normalized is None:
            log_step = step_size.log()
        else:
            log_step = normalized.log() - log_bound - torch.logsumexp(curvature(u), -1)
        c = (loss.log_weights(u) + log_step[:, None, None]).exp()
        pull = torch.zeros(*y.shape, K, dtype=W.dtype).scatter(-1, wrong, -c)
        pull = pull.scatter(-1, y[..., None], c.sum(-1, keepdim=True))
        W = W + pull.mT @ X
        log_time = torch.logaddexp(log_time, log_step)
    return W, log_time, torch.logsumexp(loss.log_psi(_margins(X @ W.mT, y)), -1)


def _probe(loss: PermLoss, K: int) -> None:
    """Check that the functions of a loss of the reader's own give the shapes that they should."""
    u = torch.zeros(2, 3, K - 1, dtype=torch.float64)
    for name, shape in (("log_psi", (2, 3)), ("log_weights", (2, 3, K - 1)), ("log_curvature", (2, 3))):
        of = getattr(loss, name)
        if of is not None and tuple(getattr(found := of(u), "shape", ())) != shape:
            found = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"loss.{name} must map shape {tuple(u.shape)} to {shape}, found {found}")


def descend(
    X: Tensor,
    y: Tensor,
    loss: str | PermLoss,
    *,
    at: Sequence[int],
    classes: int | None = None,
    step_size: float | Tensor | None = None,
    normalized: float | Tensor | None = None,
    start: Tensor | None = None,
) -> Path:
    """Gradient descent on the risk of a linear classifier, from W = 0 or `start`, for B data sets at once.

    With `step_size` every step is that long. With `normalized` = f a step is f / (b R(W)) long, with R the risk and
    b = 2 max |x_i|**2. For f <= 1 and a curvature bounded by psi the risk cannot rise (implicit-bias-multiclass/C5).
    The bound of a template that has its own takes the place of psi in R. Time is the sum of the step lengths.

    Args:
        X: ``(N, d)`` or ``(B, N, d)``, float64, at most 1e100 in size.
        y: ``(N,)`` or ``(B, N)``, int64, as X.
        loss: a name in `LOSSES` (compiled) or a `PermLoss` of your own (torch; slower).
        at: increasing step counts to record at, 0 allowed.
        classes: number K of classes; the largest label plus one if left out.
        step_size, normalized: exactly one, above 0, a number or ``(B,)``.
        start: ``(K, d)`` or ``(B, K, d)``, float64.

    Returns:
        A `Path`.

    Raises:
        RuntimeError: a run left the finite numbers; its step is too long, or its time.
    """
    if (step_size is None) == (normalized is None):
        found = "neither" if step_size is None else "both"
        raise ValueError(f"exactly one of step_size and normalized must be given, found {found}")
    _samples("X", X, (2, 3))
    tensor("y", y, shape=tuple(X.shape[:-1]), dtype=torch.int64)
    classes = classes if classes is None else whole("classes", classes, at_least=2)
    K = labels("y", y.reshape(-1), y.numel(), classes)
    X, y = (X, y) if X.ndim == 3 else (X[None], y[None])
    B, _, d = X.shape
    largest = X.norm(dim=-1).amax(1)
    if normalized is not None and bool((largest < 1e-100).any()):
        raise ValueError(f"X must have a sample longer than 1e-100 for normalized steps, found {largest.min():.3g}")
    at = wholes("at", at, at_least=0, increase=True)
    if start is not None:
        tensor("start", start, dtype=torch.float64)
        if tuple(start.shape) not in ((K, d), (B, K, d)):
            raise ValueError(f"start must have shape {(K, d)} or {(B, K, d)}, found {tuple(start.shape)}")
    W = torch.zeros(B, K, d, dtype=X.dtype) if start is None else start.expand(B, K, d).clone()
    rule = {
        "step_size": None if step_size is None else each("step_size", step_size, B, above=0.0),
        "normalized": None if normalized is None else each("normalized", normalized, B, above=0.0),
    }
    template = _loss(loss)
    log_time = torch.full((B,), -math.inf, dtype=X.dtype)
    if isinstance(loss, str):
        from implicitly_kernels import perm_gd

        records = perm_gd(W, X, y, at, loss=loss, log_time=log_time, **rule)
    else:
        _probe(template, K)
        rows = []
        for done, t in itertools.pairwise([0, *at]):
            W, log_time, risk = _generic(W, X, y, t - done, template, rule["step_size"], rule["normalized"], log_time)
            rows.append((W, log_time, risk))
        records = [torch.stack(column) for column in zip(*rows, strict=True)]
    W, log_time, risk = records
    if not bool(W.isfinite().all() and risk.isfinite().all() and (log_time < math.inf).all()):
        cure = "step_size" if normalized is None else "normalized, or take fewer steps"
        raise RuntimeError(f"gradient descent left the finite numbers: lower {cure}")
    return Path(at, W, log_time, risk)
