"""Merging networks: neurons without names, the SuperNet that folds to one network, and what it is compared with."""

from .fitting import (
    Distilled,
    Fitted,
    distill,
    fit_maps,
    rebuild_loss,
    train_classifiers,
    trainable,
)
from .folding import (
    Folded,
    SuperNet,
    averaged,
    copied,
    fold_linear,
    matched,
    random_maps,
    regression_mean,
    stacked,
    zipped,
)
from .linear import (
    LinearMerge,
    linear_merge,
    rebuild_error,
)
from .matching import (
    assign,
    correlations,
    match_activations,
    match_weights,
)
from .nets import (
    Head,
    Net,
    average,
    interpolate,
    random_net,
)
from .tasks import (
    Ensemble,
    Scores,
    Split,
    accuracy,
    digit_halves,
    evaluate,
)

__all__ = [
    "Distilled",
    "Ensemble",
    "Fitted",
    "Folded",
    "Head",
    "LinearMerge",
    "Net",
    "Scores",
    "Split",
    "SuperNet",
    "accuracy",
    "assign",
    "average",
    "averaged",
    "copied",
    "correlations",
    "digit_halves",
    "distill",
    "evaluate",
    "fit_maps",
    "fold_linear",
    "interpolate",
    "linear_merge",
    "match_activations",
    "match_weights",
    "matched",
    "random_maps",
    "random_net",
    "rebuild_error",
    "rebuild_loss",
    "regression_mean",
    "stacked",
    "train_classifiers",
    "trainable",
    "zipped",
]
