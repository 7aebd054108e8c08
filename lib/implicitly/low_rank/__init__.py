"""Gradients of low rank: unbiased estimates from a few directions, their errors, and an optimizer that uses them."""

from .estimators import (
    Projection,
    draw_projection,
    left_basis,
    realign,
    realignment,
)
from .optimizer import (
    PROJECTIONS,
    RULES,
    WEIGHTS,
    LowRank,
    optimizer_numbers,
)
from .probabilities import (
    KINDS,
    Inclusion,
    certificate,
    crossing,
    expected_error,
    inclusion_probabilities,
    lower_bound,
    sampling_error,
    systematic_sample,
    wheel_outcomes,
    window_multiplier,
)
from .regression import (
    Course,
    NoisyOutputs,
    train,
)

__all__ = [
    "KINDS",
    "PROJECTIONS",
    "RULES",
    "WEIGHTS",
    "Course",
    "Inclusion",
    "LowRank",
    "NoisyOutputs",
    "Projection",
    "certificate",
    "crossing",
    "draw_projection",
    "expected_error",
    "inclusion_probabilities",
    "left_basis",
    "lower_bound",
    "optimizer_numbers",
    "realign",
    "realignment",
    "sampling_error",
    "systematic_sample",
    "train",
    "wheel_outcomes",
    "window_multiplier",
]
