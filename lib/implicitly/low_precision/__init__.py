"""Low precision: floats of few bits, sums that are kept in them, and networks that add up so."""

from .formats import (
    ACCUMULATORS,
    Accumulator,
    FloatFormat,
    sum_bias,
)
from .laws import (
    adder_cells,
    best_chunk,
    fraction_limit,
    growth,
    least_kept,
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
from .stored import FINE_TUNED, STAGED, WINDOWS, StoredDigits, stored_digits
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
    "FINE_TUNED",
    "GRADIENTS",
    "STAGED",
    "WINDOWS",
    "Accumulator",
    "Events",
    "FloatFormat",
    "Networks",
    "Split",
    "StoredDigits",
    "Trace",
    "add_up",
    "adder_cells",
    "best_chunk",
    "conv2d",
    "count_events",
    "digit_split",
    "first_networks",
    "fraction_limit",
    "growth",
    "least_kept",
    "linear",
    "matmul",
    "mean_loss",
    "mean_loss_limit",
    "sequential_additions",
    "stagnation",
    "stored_digits",
    "sum_bias",
    "trace",
    "train",
]
