"""Guess and check: draw networks from the flat prior until one fits the sample (Buzaglo et al. 2024).

Networks are those of :mod:`.units`; a net is known by (seed, index).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._validate import SEEDS, flag, instance, tensor, whole, wholes
from .._validate import seed as checked_seed
from .units import CHUNK, Units, _places, sample_nets, truth_tables

TABLES = 2**22  # answers of networks held together

__all__ = [
    "Guesses",
    "draw_samples",
    "fit_length",
    "guess_and_check",
]


def draw_samples(points: int, size: int, *, seeds: Sequence[int], distinct: bool = False) -> Tensor:
    """Data sets as lists of points of the domain, int64 (len(seeds), size); one set per seed.

    Independent uniform draws with replacement, or without (`distinct=True`). A set of n points is the first n of
    a larger one with the same seed, so that sets are nested. No seeds: no sets.
    """
    points, size = whole("points", points, at_least=1), whole("size", size, at_least=0)
    if flag("distinct", distinct) and size > points:
        raise ValueError(f"size must be at most points={points} when distinct, found {size}")
    rows = []
    for seed in wholes("seeds", seeds, least=0, at_least=0, at_most=SEEDS - 1):
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 2**31])))
        rows.append(stream.permutation(points)[:size] if distinct else stream.integers(0, points, size=size))
    return torch.from_numpy(np.array(rows, dtype=np.int64).reshape(len(rows), size))


@dataclass(frozen=True, eq=False)
class Guesses:
    """What a run of guess and check found, for R data sets of N ordered examples and every prefix of them.

    Attributes:
        guesses: number of networks drawn.
        histogram: int64 (R, N + 1, P + 1); entry [r, n, k] counts the guesses that fit the first n examples of set
            r and err on k of the P points of the domain (against `labels`, without noise).
        found: for each data set the indices of the first networks (at most `keep`) that fit all N examples.

    Raises:
        TypeError, ValueError: attributes of another kind, or that do not belong together.
    """

    guesses: int
    histogram: Tensor
    found: tuple[tuple[int, ...], ...]

    def __post_init__(self):
        object.__setattr__(self, "guesses", whole("guesses", self.guesses, at_least=1))
        tensor("histogram", self.histogram, shape=("sets", "sizes", "levels"), dtype=torch.int64, at_least=0)
        if 0 in self.histogram.shape or self.histogram.shape[-1] < 2:
            raise ValueError(f"histogram must be of sets, sizes and points, found shape {tuple(self.histogram.shape)}")
        if not bool((self.fits[:, 0] == self.guesses).all()) or bool((self.fits.diff(dim=1) > 0).any()):
            raise ValueError(f"histogram must count guesses = {self.guesses} at size 0 and no more later, found others")
        if not isinstance(self.found, tuple | list) or len(self.found) != len(self.histogram):
            wanted = f"a tuple of indices for each of {len(self.histogram)} sets"
            raise ValueError(f"found must hold {wanted}, found {self.found!r:.40}")
        found = tuple(wholes(f"found[{r}]", kept, least=0, at_least=0) for r, kept in enumerate(self.found))
        object.__setattr__(self, "found", found)

    @property
    def fits(self) -> Tensor:
        """int64 (R, N + 1): guesses that fit the first n examples."""
        return self.histogram.sum(-1)

    @property
    def bits(self) -> Tensor:
        """float64 (R, N + 1): C(S) = -log2 of the share of guesses that fit; infinite (censored) where none did."""
        return math.log2(self.guesses) - torch.log2(self.fits.to(torch.float64))

    @property
    def error_levels(self) -> Tensor:
        """float64 (P + 1,): the error rates 0, 1/P, ..., 1."""
        points = self.histogram.shape[-1] - 1
        return torch.arange(points + 1, dtype=torch.float64) / points

    @property
    def errors(self) -> Tensor:
        """float64 (R, N + 1): mean error over the whole domain of the guesses that fit; NaN where none did."""
        return self.histogram.to(torch.float64) @ self.error_levels / self.fits

    @property
    def surprise(self) -> Tensor:
        """float64 (R, N + 1): mean of -log2(1 - error) over the guesses that fit; NaN where none did."""
        counts = self.histogram.to(torch.float64)
        return torch.where(counts > 0, -torch.log2(1 - self.error_levels) * counts, 0.0).sum(-1) / self.fits

    @property
    def teacher_hits(self) -> int:
        """Guesses that equal the teacher on the whole domain (the first data set's, if they differ)."""
        return int(self.histogram[0, 0, 0])


def guess_and_check(
    units: Units,
    width: int,
    labels: Tensor,
    samples: Tensor,
    *,
    guesses: int,
    seed: int,
    sample_labels: Tensor | None = None,
    offset: int = 0,
    keep: int = 8,
) -> Guesses:
    """Draw `guesses` networks from the flat prior and record, for every data set, how far each one fits.

    A guess that fits the first n examples is a draw from the posterior given those n examples (see typical-nets/C1),
    so one pass serves every data set and every n up to N.

    Args:
        units, width, offset: the network (see the module's first lines).
        labels: bool (P,), the true label of each point of the domain, or (R, P), one teacher per data set.
        samples: int64 (R, N), the points of each data set in a fixed order; repeats are allowed, R is at least 1.
        guesses: how many networks to draw; indices 0 to guesses - 1 of `seed`.
        sample_labels: bool (R, N), the labels in the data sets where they differ from `labels` (noise).
        keep: how many interpolators of each data set to remember by index.

    Returns:
        :class:`Guesses`. Cost: guesses * width * P additions.
    """
    instance("units", units, Units)
    width, offset = whole("width", width, at_least=1), whole("offset", offset)
    guesses, keep = whole("guesses", guesses, at_least=1), whole("keep", keep, at_least=0)
    seed, points = checked_seed("seed", seed), units.points
    _places("samples", samples, points, ("sets", "examples"))
    sets, size = samples.shape
    if not sets:
        raise ValueError("samples must hold at least one data set, found none")
    tensor("labels", labels, dtype=torch.bool)
    if labels.shape not in [(points,), (sets, points)]:
        raise ValueError(f"labels must be bool ({points},) or ({sets}, {points}), found shape {tuple(labels.shape)}")
    labels = labels.expand(sets, points).contiguous()
    if sample_labels is None:
        sample_labels = labels.gather(1, samples)
    tensor("sample_labels", sample_labels, shape=(sets, size), dtype=torch.bool)

    truths, truth_of = torch.unique(labels, dim=0, return_inverse=True)
    joint = torch.zeros(sets, (size + 1) * (points + 1), dtype=torch.int64)
    found = [[] for _ in range(sets)]
    for start in range(0, guesses, CHUNK):
        nets = sample_nets(units, width, seed=seed, start=start, count=min(CHUNK, guesses - start))
        for some in nets.split(max(1, TABLES // points)):
            columns = truth_tables(units, some, offset=offset).T.contiguous()
            wrong = [_count(columns, truth) for truth in truths]
            for r in range(sets):
                length = _fit_length(columns, samples[r], sample_labels[r])
                joint[r] += torch.bincount(length * (points + 1) + wrong[truth_of[r]], minlength=joint.shape[1])
                if len(found[r]) < keep:
                    found[r] += (start + torch.nonzero(length == size)).flatten().tolist()
            start += len(some)
    histogram = joint.reshape(sets, size + 1, points + 1).flip(1).cumsum(1).flip(1)
    return Guesses(guesses, histogram, tuple(tuple(indices[:keep]) for indices in found))


def fit_length(tables: Tensor, sample: Tensor, sample_labels: Tensor) -> Tensor:
    """How many examples each table, bool (B, P), fits before its first mistake: int64 (B,); (N,) examples."""
    tensor("tables", tables, shape=("tables", "points"), dtype=torch.bool)
    _places("sample", sample, tables.shape[1], ("examples",))
    tensor("sample_labels", sample_labels, shape=sample.shape, dtype=torch.bool)
    return _fit_length(tables.T.contiguous(), sample, sample_labels)


# Whole rows of bytes at a time, points first: what a table answers at one point lies beside what the others do.


def _counter(columns: Tensor, most: int) -> Tensor:
    return torch.zeros(columns.shape[1], dtype=torch.uint8 if most < 2**8 else torch.int32)


def _count(columns: Tensor, truth: Tensor) -> Tensor:
    """On how many points each table of `columns`, bool (P, B), differs from `truth`, bool (P,): int64 (B,)."""
    wrong = _counter(columns, len(truth))
    for column, label in zip(columns, truth.tolist(), strict=True):
        wrong += (~column if label else column).view(torch.uint8)
    return wrong.to(torch.int64)


def _fit_length(columns: Tensor, sample: Tensor, sample_labels: Tensor) -> Tensor:
    """`fit_length` of `columns`, bool (P, B)."""
    fits, length = torch.ones(columns.shape[1], dtype=torch.bool), _counter(columns, len(sample))
    for seen, (point, label) in enumerate(zip(sample.tolist(), sample_labels.tolist(), strict=True), 1):
        fits &= columns[point] if label else ~columns[point]
        length += fits.view(torch.uint8)
        if seen % 8 == 0 and 16 * int(fits.count_nonzero()) < len(fits):  # the few that are left, by themselves
            left = fits.nonzero().flatten()
            more = _fit_length(columns.index_select(1, left), sample[seen:], sample_labels[seen:])
            length[left] += more.to(length.dtype)
            break
    return length.to(torch.int64)
