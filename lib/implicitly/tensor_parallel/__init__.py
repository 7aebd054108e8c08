"""Tensor parallelism whose sums over ranks take some channels only: in one process, and in several."""

from .jobs import all_gradients, gradients, sum_times, torch_plan
from .language import (
    SMALL,
    StoredRuns,
    Trained,
    held_out_loss,
    name_tokens,
    stored_runs,
    train,
)
from .local_steps import average_minimizer, local_descent, local_limit
from .model import (
    Shape,
    column_parallel,
    complete_norms,
    dense_loss,
    first_weights,
    is_norm,
    is_replicated,
    loss,
    row_parallel,
    shard,
)
from .processes import Processes, Sent, run_ranks
from .streams import RULES, OneProcess, Wires, shared_channels
from .traffic import (
    LayerTime,
    effective_width,
    fit_line,
    layer_elements,
    ring_bytes,
    step_elements,
)

__all__ = [
    "RULES",
    "SMALL",
    "LayerTime",
    "OneProcess",
    "Processes",
    "Sent",
    "Shape",
    "StoredRuns",
    "Trained",
    "Wires",
    "all_gradients",
    "average_minimizer",
    "column_parallel",
    "complete_norms",
    "dense_loss",
    "effective_width",
    "first_weights",
    "fit_line",
    "gradients",
    "held_out_loss",
    "is_norm",
    "is_replicated",
    "layer_elements",
    "local_descent",
    "local_limit",
    "loss",
    "name_tokens",
    "ring_bytes",
    "row_parallel",
    "run_ranks",
    "shard",
    "shared_channels",
    "step_elements",
    "stored_runs",
    "sum_times",
    "torch_plan",
    "train",
]
