"""How many bits it takes to copy a teacher, and what gradient descent makes of the same examples.

Bits are used throughout (logarithms to base 2). Source: Buzaglo et al. 2024; chapter typical-nets.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .._validate import flag, instance, mapping, number, tensor, whole, wholes
from .._validate import generator as checked_generator
from ..claims import largest
from .laws import FunctionLaw
from .units import Units, _domain, _largest, _levels, _places, pack_tables

__all__ = [
    "copy_bits",
    "copy_use",
    "deep_tables",
    "gaussian_bits",
    "needed_neurons",
    "train_many",
]


def copy_bits(
    inputs: int,
    teacher: Sequence[int],
    student: Sequence[int],
    *,
    levels: int = 3,
    scale_levels: int | None = None,
    either: bool = False,
) -> float:
    """Bits that suffice to copy the teacher into a random student: an upper bound on -log2 P(teacher's function).

    Without scales (typical-nets/C5) every teacher neuron fixes all its incoming weights and its bias; with a scale per
    hidden neuron (typical-nets/C6) the other neurons are switched off instead. The places of the teacher's neurons are
    free, which gives the binomials back. The output neuron has weights only.

    Args:
        inputs: dimension d_0 of the input.
        teacher, student: widths of the hidden layers; the student's are at least the teacher's, layer by layer.
        levels: number Q of levels of each weight and bias, zero among them.
        scale_levels: number of levels of a hidden neuron's scale, zero among them; None for a net without scales.
        either: with scales and one hidden layer, also count neurons that are off because their outgoing weight is zero.

    Returns:
        Bits, a float.

    >>> round(copy_bits(7, [1], [4]), 2), round(copy_bits(7, [1], [4], scale_levels=2), 2)
    (17.02, 16.26)
    """
    inputs, levels = whole("inputs", inputs, at_least=1), whole("levels", levels, at_least=2)
    teacher, student = wholes("teacher", teacher), wholes("student", student)
    if len(teacher) != len(student):
        raise ValueError(f"teacher and student must have the same depth, found {list(teacher)} and {list(student)}")
    for small, large in zip(teacher, student, strict=True):
        if not 1 <= small <= large:
            raise ValueError(f"teacher must be at least 1 and at most student, found {small} and {large}")
    if scale_levels is not None:
        scale_levels = whole("scale_levels", scale_levels, at_least=2)
    if flag("either", either) and (scale_levels is None or len(teacher) > 1):
        found = f"scale_levels={scale_levels} and {len(teacher)} layers"
        raise ValueError(f"either must be False without scale_levels or with more than one hidden layer, found {found}")
    q = math.log2(levels)
    places = sum(math.log2(math.comb(large, small)) for small, large in zip(teacher, student, strict=True))
    if scale_levels is None:
        wide = [inputs, *student]
        fixed = sum(small * (below + 1) for small, below in zip(teacher, wide, strict=False)) + student[-1]
        return q * fixed - places
    narrow = [inputs, *teacher]
    fixed = sum(small * (below + 1) for small, below in zip(teacher, narrow, strict=False)) + teacher[-1]
    scale = math.log2(scale_levels)
    others = sum(student) - sum(teacher)
    off = -math.log2(1 - (1 - 1 / levels) * (1 - 1 / scale_levels)) if either else scale
    return q * fixed + scale * sum(teacher) + off * others - places


def needed_neurons(laws: dict[int, FunctionLaw]) -> dict[int, int]:
    """The fewest neurons that compute each function (as :func:`pack_tables` numbers it), from exact laws by width.

    laws: {width: law}, at least one, all of them on the same points.
    """
    mapping("laws", laws)
    for width, law in laws.items():
        whole("laws' widths", width, at_least=1), instance(f"laws[{width}]", law, FunctionLaw)
    if len(points := {law.tables.shape[1] for law in laws.values()}) > 1:
        raise ValueError(f"laws must all be on the same points, found {sorted(points)}")
    fewest = {}
    for width in sorted(laws):
        for word in pack_tables(laws[width].tables).tolist():
            fewest.setdefault(word, width)
    return fewest


def copy_use(law: FunctionLaw, bits: dict[int, float]) -> float:
    """Largest 2**-bits / P(f) over the functions f in `bits`: at most 1 if that many bits suffice (C3, C4).

    bits: for each packed function the bits, 0 or more, that are said to suffice; at least one function. A function
    without mass gives infinity.
    """
    instance("law", law, FunctionLaw), mapping("bits", bits)
    for word, cost in bits.items():
        whole("bits' functions", word, at_least=0, at_most=2 ** law.tables.shape[1] - 1)
        number(f"bits[{word}]", cost, at_least=0.0)
    mass = dict(zip(pack_tables(law.tables).tolist(), law.probabilities.tolist(), strict=True))
    return largest(2.0**-cost / mass[word] if word in mass else math.inf for word, cost in bits.items())


def gaussian_bits(units: Units, labels: Tensor, *, draws: int, generator: torch.Generator) -> Tensor:
    """-log2 P(sign pattern) for Gaussian sums with the units' covariance: the limit of wide nets (typical-nets/C10).

    Args:
        units: with mean zero at every point.
        labels: bool (T, P), patterns. draws: Gaussian vectors drawn, the same for all patterns.

    Returns:
        float64 (T,); infinite for a pattern that no draw has.
    """
    instance("units", units, Units)
    tensor("labels", labels, shape=("patterns", units.points), dtype=torch.bool)
    draws = whole("draws", draws, at_least=1)
    checked_generator("generator", generator, device="cpu")
    values = units.values.to(torch.float64)
    weights = units.counts.to(torch.float64) / units.settings
    if (weights @ values).abs().max() > 1e-9:
        raise ValueError("units must have mean zero at every point, found one that has not")
    covariance = values.T @ (weights[:, None] * values)
    size, axes = torch.linalg.eigh(covariance)
    root = (axes * size.clamp(min=0).sqrt()) @ axes.T  # symmetric, so that no choice of eigenvectors matters
    hits = torch.zeros(len(labels), dtype=torch.int64)
    for start in range(0, draws, 1 << 18):
        shape = (min(1 << 18, draws - start), units.points)
        answers = torch.randn(shape, dtype=torch.float64, generator=generator) @ root > 0
        for pattern, label in enumerate(labels):
            hits[pattern] += (answers == label).all(1).sum()
    return -torch.log2(hits.to(torch.float64) / draws)


def deep_tables(
    X: Tensor,
    widths: Sequence[int],
    *,
    count: int,
    generator: torch.Generator,
    levels: Sequence[int] = (-1, 0, 1),
    scales: Sequence[int] | None = None,
) -> Tensor:
    """Truth tables of `count` random ReLU nets of any depth, layer by layer: bool (count, P).

    The plain definition of the flat prior; :func:`.truth_tables` is its fast form for one
    hidden layer. Hidden neurons answer s * relu(w . x + b), the output answers 1{v . x > 0}.

    Args:
        X: integer tensor (P, d).
        widths: hidden widths, at least one.
        levels, scales: levels of weights and biases, and of the hidden scales (None: no scales), each once.

    Raises:
        ValueError: sums could reach 2**53, beyond which float64 does not hold every whole number.
    """
    X, widths, count = _domain(X), wholes("widths", widths, at_least=1), whole("count", count, at_least=0)
    checked_generator("generator", generator, device="cpu")
    levels = _levels("levels", levels)
    scales = None if scales is None else _levels("scales", scales)
    reach, inputs = _largest(X), X.shape[1]
    for width in widths:
        reach, inputs = _largest(levels) * (inputs * reach + 1) * _largest(scales or (1,)), width
    reach = _largest(levels) * inputs * reach
    if reach >= 2**53:
        raise ValueError(f"X, widths, levels and scales must keep sums below 2**53, found up to {reach:.3g}")
    levels = torch.tensor(levels, dtype=torch.float64)

    def draw(*shape):
        return levels[torch.randint(len(levels), (count, *shape), generator=generator)]

    hidden = X.T.to(torch.float64).expand(count, -1, -1)  # (count, d, P)
    for width in widths:
        hidden = torch.relu(draw(width, hidden.shape[1]) @ hidden + draw(width, 1))  # (count, width, P)
        if scales is not None:
            pick = torch.randint(len(scales), (count, width, 1), generator=generator)
            hidden = hidden * torch.tensor(scales, dtype=torch.float64)[pick]
    return (draw(1, hidden.shape[1]) @ hidden).squeeze(1) > 0


def train_many(
    X: Tensor,
    samples: Tensor,
    sample_labels: Tensor,
    *,
    width: int,
    nets: int,
    steps: int,
    eta: float,
    batch: int | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Train ReLU nets of one hidden layer by (stochastic) gradient descent on the logistic loss, all at once.

    Args:
        X: integer tensor (P, d), the domain.
        samples, sample_labels: int64 (R, N) and bool (R, N), the data sets; R and N at least 1.
        width, nets: hidden width; number of nets trained on each data set, from Gaussian starts of variance 2 / fan-in.
        steps, eta, batch: steps (0: the start), step size, and examples in a step (drawn with replacement; None: all
            of them).

    Returns:
        (tables, fits): bool (R, nets, P), the answers on the domain; bool (R, nets), whether all examples are fitted.

    Raises:
        ValueError: the weights do not stay finite (`eta` too large).
    """
    X = _domain(X)
    _places("samples", samples, len(X), ("sets", "examples"))
    if not samples.numel():
        raise ValueError(f"samples must hold at least one set and one example, found shape {tuple(samples.shape)}")
    tensor("sample_labels", sample_labels, shape=samples.shape, dtype=torch.bool)
    width, nets = whole("width", width, at_least=1), whole("nets", nets, at_least=1)
    steps, eta = whole("steps", steps, at_least=0), number("eta", eta, above=0.0)
    batch = None if batch is None else whole("batch", batch, at_least=1)
    checked_generator("generator", generator, device="cpu")
    (sets, size), (_, d) = samples.shape, X.shape
    domain = X.to(torch.float32)
    x, y = domain[samples], 2.0 * sample_labels.to(torch.float32) - 1.0  # (R, N, d), (R, N)

    def draw(*shape):
        return torch.randn(sets, nets, *shape, dtype=torch.float32, generator=generator)

    w, v = draw(d, width) * math.sqrt(2 / d), draw(width) * math.sqrt(2 / width)
    b = torch.zeros(sets, nets, 1, width, dtype=torch.float32)
    for _ in range(steps):
        if batch is None:
            xs, ys = x[:, None], y[:, None]  # (R, 1, N, d), (R, 1, N)
        else:
            pick = torch.randint(size, (sets, nets, batch), generator=generator)
            set_of = torch.arange(sets)[:, None, None]
            xs, ys = x[set_of, pick], y[set_of, pick]
        z = xs @ w + b  # (R, nets, batch, width)
        h = torch.relu(z)
        pull = ys * torch.sigmoid(-ys * (h @ v[..., None]).squeeze(-1)) / ys.shape[-1]  # minus the loss's slope
        back = pull[..., None] * v[..., None, :] * (z > 0)
        w = w + eta * (xs.transpose(-1, -2) @ back)
        b = b + eta * back.sum(-2, keepdim=True)
        v = v + eta * (pull[..., None, :] @ h).squeeze(-2)
    if not all(bool(torch.isfinite(p).all()) for p in (w, b, v)):
        raise ValueError(f"eta must be small enough for this X that the weights stay finite, found {eta:.6g}")
    score = lambda points: (torch.relu(points @ w + b) @ v[..., None]).squeeze(-1) > 0  # noqa: E731
    return score(domain), (score(x[:, None]) == (y[:, None] > 0)).all(-1)
