"""Max-margin classification: losses of margins, gradient descent on them, and the limits it heads for."""

from .classes import (
    SKETCHES,
    sketch_classes,
    teacher_classes,
)
from .descent import (
    Path,
    descend,
)
from .limits import (
    DualErrors,
    MirrorUse,
    Modes,
    direction_constant,
    dual_errors,
    log_time_flow,
    margin_constants,
    mirror_use,
    residual_limit,
    settling_modes,
    step_factor,
)
from .losses import (
    LOSSES,
    PermLoss,
    curvature_use,
    score_curvature,
    tail_violation,
    weights_error,
)
from .risk import (
    labels,
    log_risk,
    log_weights,
    relative_margins,
    wrong_classes,
)
from .svm import (
    MaxMargin,
    angle,
    constraints,
    direction_error,
    hard_margin_svm,
    polynomial_limit,
    relative_margin,
)

__all__ = [
    "LOSSES",
    "SKETCHES",
    "DualErrors",
    "MaxMargin",
    "MirrorUse",
    "Modes",
    "Path",
    "PermLoss",
    "angle",
    "constraints",
    "curvature_use",
    "descend",
    "direction_constant",
    "direction_error",
    "dual_errors",
    "hard_margin_svm",
    "labels",
    "log_risk",
    "log_time_flow",
    "log_weights",
    "margin_constants",
    "mirror_use",
    "polynomial_limit",
    "relative_margin",
    "relative_margins",
    "residual_limit",
    "score_curvature",
    "settling_modes",
    "sketch_classes",
    "step_factor",
    "tail_violation",
    "teacher_classes",
    "weights_error",
    "wrong_classes",
]
