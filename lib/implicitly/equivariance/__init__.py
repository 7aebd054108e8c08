"""Networks that commute with shifts by any real number of pixels: band-limited images, their layers, their reports."""

from .digit_nets import (
    DESIGNS,
    STEPS,
    digit_images,
    stored_digit_nets,
    train_digit_net,
)
from .layers import (
    ACTIVATIONS,
    ATTENTIONS,
    GELU_LIKE,
    activate,
    attend,
    circular_conv,
    downsample,
    sample_norm,
    token_norm,
)
from .nets import Design, ShiftNet
from .reports import ShiftReport, shift_list, shift_report
from .signals import (
    alias,
    band,
    bandlimit,
    equivariance_error,
    fractional_shift,
    points_needed,
    random_images,
    resample,
    spectrum,
)

__all__ = [
    "ACTIVATIONS",
    "ATTENTIONS",
    "DESIGNS",
    "GELU_LIKE",
    "STEPS",
    "Design",
    "ShiftNet",
    "ShiftReport",
    "activate",
    "alias",
    "attend",
    "band",
    "bandlimit",
    "circular_conv",
    "digit_images",
    "downsample",
    "equivariance_error",
    "fractional_shift",
    "points_needed",
    "random_images",
    "resample",
    "sample_norm",
    "shift_list",
    "shift_report",
    "spectrum",
    "stored_digit_nets",
    "token_norm",
    "train_digit_net",
]
