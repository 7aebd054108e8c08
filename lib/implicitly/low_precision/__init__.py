"""Low precision: floats of few bits, sums that are kept in them, and networks that add up so."""

from .formats import (
    ACCUMULATORS,
    Accumulator,
    FloatFormat,
    sum_bias,
)
from .laws import (
    best_chunk,
    fraction_limit,
    growth,
    mean_loss,
    mean_loss_limit,
    sequential_additions,
    stagnation,
)
from .nets import (
    Networks,
    Split,
    digit_split,
    first_networks,
    train,
)
from .sums import (
    GRADIENTS,
    Events,
    Trace,
    add_up,
    conv2d,
    count_events,
    linear,
    matmul,
    trace,
)

__all__ = [
    "ACCUMULATORS",
    "GRADIENTS",
    "Accumulator",
    "Events",
    "FloatFormat",
    "Networks",
    "Split",
    "Trace",
    "add_up",
    "best_chunk",
    "conv2d",
    "count_events",
    "digit_split",
    "first_networks",
    "fraction_limit",
    "growth",
    "linear",
    "matmul",
    "mean_loss",
    "mean_loss_limit",
    "sequential_additions",
    "stagnation",
    "sum_bias",
    "trace",
    "train",
]
