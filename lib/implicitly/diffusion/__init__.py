"""Denoisers and the flows they drive."""

from .denoisers import (
    EmpiricalBayes,
    LineDenoiser,
    SimplexDenoiser,
    planar_triangle,
    ramp,
    random_simplex,
)
from .exact import (
    KINDS,
    classify,
    counted_as_zero,
    end_probabilities,
    off_edge_share,
    probability_flow_exact,
    score_flow_exact,
    shares,
    two_edges_exact,
    vertex_is_fixed,
)
from .flows import (
    SCHEDULES,
    probability_flow,
    score_flow,
    sigma_grid,
    solve_probability_flow,
    solve_score_flow,
)
from .relu_nets import (
    ReLUNet,
    ball_samples,
    minimum_norm_net,
    train_denoisers,
)

__all__ = [
    "KINDS",
    "SCHEDULES",
    "EmpiricalBayes",
    "LineDenoiser",
    "ReLUNet",
    "SimplexDenoiser",
    "ball_samples",
    "classify",
    "counted_as_zero",
    "end_probabilities",
    "minimum_norm_net",
    "off_edge_share",
    "planar_triangle",
    "probability_flow",
    "probability_flow_exact",
    "ramp",
    "random_simplex",
    "score_flow",
    "score_flow_exact",
    "shares",
    "sigma_grid",
    "solve_probability_flow",
    "solve_score_flow",
    "train_denoisers",
    "two_edges_exact",
    "vertex_is_fixed",
]
