"""Training long after the last error is gone, in numbers of few bits: where softmax and weights stop."""

from .addition import (
    AdditionRun,
    train_addition,
)
from .descent import (
    PARTS,
    RoundedPath,
    descend_rounded,
)
from .losses import (
    STABLEMAX,
    inverse_square_limit,
    stablemax,
)
from .precision import (
    OWN,
    collapse_margin,
    round_bits,
    smallest_update,
    softmax_forces,
)

__all__ = [
    "OWN",
    "PARTS",
    "STABLEMAX",
    "AdditionRun",
    "RoundedPath",
    "collapse_margin",
    "descend_rounded",
    "inverse_square_limit",
    "round_bits",
    "smallest_update",
    "softmax_forces",
    "stablemax",
    "train_addition",
]
