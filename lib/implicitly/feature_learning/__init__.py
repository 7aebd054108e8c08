"""Feature learning: two-layer ReLU networks on clusters of points, and what their gates come to tell apart."""

from .clusters import (
    LABELS,
    Clusters,
    draw_clusters,
    linear_accuracy,
)
from .relu_nets import (
    Run,
    accuracy,
    first_step,
    matched,
    scores,
    train,
)

__all__ = [
    "LABELS",
    "Clusters",
    "Run",
    "accuracy",
    "draw_clusters",
    "first_step",
    "linear_accuracy",
    "matched",
    "scores",
    "train",
]
