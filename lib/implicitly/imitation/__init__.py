"""Imitation of an expert one step at a time (behavior cloning), and what the imitator does in a closed loop."""

from .cloning import averaging_gain, clone, equal_step, moving_average, one_step_excess
from .loops import geometric_cost, random_loop, rollout_cost, spectral_radius, unstable_share, worst_error
from .pendulum import Policy, clone_pendulum, pendulum_cost, pendulum_expert, pendulum_step

__all__ = [
    "Policy",
    "averaging_gain",
    "clone",
    "clone_pendulum",
    "equal_step",
    "geometric_cost",
    "moving_average",
    "one_step_excess",
    "pendulum_cost",
    "pendulum_expert",
    "pendulum_step",
    "random_loop",
    "rollout_cost",
    "spectral_radius",
    "unstable_share",
    "worst_error",
]
