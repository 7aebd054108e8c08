"""What chance may do to a measured number: how far a share strays, an interval, a slope, a distance of laws."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._validate import number, numbers, tensor, whole

__all__ = ["allowance", "fitted_slope", "kolmogorov_distance", "share_interval"]


def allowance(p: float, n: int, *, false_alarm: float = 1e-6) -> float:
    """Distance from `p` that a share of `n` independent trials exceeds with probability at most `false_alarm`.

    From Bernstein's inequality, so it holds for every `n` and `p`, rare events included:
    ``2 exp(-n e**2 / (2 p (1 - p) + 2 e / 3)) = false_alarm``, solved for ``e``.

    Args:
        p: probability of success in one trial, in [0, 1].
        n: number of independent trials, at least 1.
        false_alarm: two-sided error probability, in (0, 1).

    Returns:
        The distance ``e > 0``, a share.

    >>> round(allowance(0.5, 10_000), 4)
    0.0274
    """
    p, n = number("p", p, at_least=0.0, at_most=1.0), whole("n", n, at_least=1)
    false_alarm = number("false_alarm", false_alarm, above=0.0, below=1.0)
    k = (math.log(2) - math.log(false_alarm)) / n  # 2 / false_alarm can overflow
    # e**2 - (2 k / 3) e - 2 k p (1 - p) = 0
    return k / 3 + math.sqrt((k / 3) ** 2 + 2 * k * p * (1 - p))


def share_interval(hits: int, trials: int, *, miss: float = 1e-6) -> tuple[float, float]:
    """Clopper–Pearson interval of a probability from `hits` in `trials`: misses it with probability at most `miss`.

    hits: 0 to trials. trials: at least 1. miss: in (0, 1).
    """
    from scipy.stats import beta

    hits, trials = whole("hits", hits, at_least=0), whole("trials", trials, at_least=1)
    miss = number("miss", miss, above=0.0, below=1.0)
    if hits > trials:
        raise ValueError(f"hits must be at most trials={trials}, found {hits}")
    low = beta.ppf(miss / 2, hits, trials - hits + 1) if hits else 0.0
    high = beta.isf(miss / 2, hits + 1, trials - hits) if hits < trials else 1.0
    return float(low), float(high)


def fitted_slope(sizes: Sequence[int], errors: Tensor, *, resamples: int = 2000) -> tuple[float, float, float]:
    """Slope of ln(mean error) against ln(size), and its 2.5 % and 97.5 % points over resampled runs.

    Args:
        sizes: (m,) numbers above 0, not all equal.
        errors: (m, R), above 0; column r is run r at every size, R at least 1. Whole columns are resampled: the sizes
            of one run may share its start and its noise.
        resamples: at least 1.
    """
    n = torch.tensor(numbers("sizes", sizes, least=2, above=0.0), dtype=torch.float64).log()
    if float(n.min()) == float(n.max()):
        raise ValueError(f"sizes must not all be equal, found {len(n)} of {float(n[0].exp()):.6g}")
    errors = tensor("errors", errors, shape=(len(n), "R"), convert=torch.float64, above=0.0)
    if errors.shape[1] < 1:
        raise ValueError(f"errors must have at least one run, found shape {tuple(errors.shape)}")
    weights = (n - n.mean()) / (n - n.mean()).square().sum()
    runs = errors.shape[1]
    generator = torch.Generator().manual_seed(0)
    pick = torch.randint(runs, (whole("resamples", resamples, at_least=1), runs), generator=generator)
    again = weights @ errors[:, pick].mean(2).log()
    low, high = again.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return float(errors.mean(1).log() @ weights), low, high


def kolmogorov_distance(sample: Tensor, grid: Tensor, density: Tensor) -> float:
    """Largest gap between the distribution function of a sample and that of a density on a grid.

    Args:
        sample: floating, shape (n,), n >= 1.
        grid: floating, strictly increasing, shape (m,), m >= 2; covers the support.
        density: floating, shape (m,), not negative and not zero everywhere; need not be normalized.

    Returns:
        The distance, in [0, 1]. An atom in the sample counts in full.
    """
    from scipy.integrate import cumulative_trapezoid
    from scipy.stats import ks_1samp

    sample, grid = tensor("sample", sample, shape=("n",)), tensor("grid", grid, shape=("m",))
    density = tensor("density", density, shape=("m",), at_least=0.0)
    if not len(sample):
        raise ValueError("sample must hold at least one number, found none")
    if len(grid) < 2 or not (grid.diff() > 0).all() or not torch.isfinite(grid[-1] - grid[0]):
        raise ValueError(
            "grid must hold at least 2 strictly increasing numbers, a finite way apart, "
            f"found {grid[:5].tolist()}"
        )
    if len(density) != len(grid):
        raise ValueError(f"density must have the shape of grid, {tuple(grid.shape)}, found {tuple(density.shape)}")
    x, spot, height = (t.double().cpu().numpy() for t in (sample, grid, density / density.max()))
    cdf = cumulative_trapezoid(height, spot, initial=0)
    if not (np.isfinite(cdf[-1]) and cdf[-1] > 0):
        raise ValueError(f"density must have a positive, finite integral over grid, found {density.max():.6g} at most")
    # (of the p-values, which nothing uses, the asymptotic one is the cheapest)
    return float(ks_1samp(x, lambda x: np.interp(x, spot, cdf / cdf[-1]), method="asymp").statistic)
