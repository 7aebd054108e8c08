"""What the processes of `run_ranks` do: gradients of a model, sums that are timed, torch's own plan.

Chapter `partial-synchronization`, C1 to C4 and C8. Bad arguments raise TypeError or ValueError.
"""

import contextlib
import time

import torch
from torch import Tensor
from torch import distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

from .._validate import choice, flag, instance, whole, wholes
from .model import Shape, complete_norms, loss, shard
from .streams import RULES, Wires

__all__ = ["all_gradients", "gradients", "sum_times", "torch_plan"]


class _Elements(TorchDispatchMode):
    """Counts the elements of what reaches torch's all-reduce, by whatever way: not by our own wrapper."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if "allreduce" in op.name():
            self.count += sum(t.numel() for t in args[0])
        return op(*args, **(kwargs or {}))


def gradients(wires: Wires, *, shape: Shape, weights: dict[str, Tensor], tokens: Tensor, shared: int,
              rule: str = "adjoint", scale: float | None = None, counted: bool = False) -> dict:  # fmt: skip
    """Loss and gradients of one step, in this process, and what was sent for it.

    Args:
        shape, weights, tokens, shared, scale: as for `loss`; the weights are dense, each rank cuts out its own.
        rule: of the backward pass, one of `RULES`.
        counted: rank 0 also counts by means of torch; their import takes some seconds.

    Returns:
        A dict. loss: 0-d. gradients: name -> (here, ...), norms partial. norms: the same for norms, summed. sent:
        elements of the all-reduces of forward and backward pass, counted by our wires (None in one process). torch:
        the same counted in torch's dispatcher. calls: how many all-reduces torch's `CommDebugMode` saw. Both are None
        where nothing was counted.
    """
    instance("wires", wires, Wires)
    rule, before_rule = choice("rule", rule, RULES), wires.rule
    counted = flag("counted", counted) and wires.first == 0
    debug, seen = (_comm_debug_mode(), _Elements()) if counted else (contextlib.nullcontext(), contextlib.nullcontext())
    mine = {name: w.requires_grad_() for name, w in shard(weights, shape, wires).items()}
    before = len(getattr(wires, "sent", ()))
    try:
        wires.rule = rule
        with debug, seen:
            value = loss(mine, shape, tokens, wires, shared, scale)
            found = dict(zip(mine, torch.autograd.grad(value, list(mine.values())), strict=True))
    finally:
        wires.rule = before_rule
    sent = sum(s.elements for s in wires.sent[before:]) if hasattr(wires, "sent") else None
    whole_norms = {name: g for name, g in complete_norms(found, wires).items() if name.endswith("norm")}
    return {"loss": value.detach(), "gradients": found, "norms": whole_norms, "sent": sent,
            "torch": seen.count if counted else None,
            "calls": debug.get_total_counts() if counted else None}  # fmt: skip


def _comm_debug_mode():
    from torch.distributed.tensor.debug import CommDebugMode

    return CommDebugMode()


def all_gradients(wires: Wires, *, settings: list[dict]) -> list[dict]:
    """`gradients` for each of these settings, one after the other: processes start once for all.

    settings: dicts of the arguments of `gradients`.
    """
    instance("wires", wires, Wires)
    return [gradients(wires, **setting) for setting in settings]


def sum_times(wires: Wires, *, sizes: list[int], repeats: int = 5) -> Tensor:
    """Seconds of an all-reduce of so many float32 numbers, (sizes, repeats) float64, after one that is not counted.

    Args:
        sizes: whole numbers, at least 1. repeats: at least 1.
    """
    sizes, repeats = wholes("sizes", sizes, at_least=1, at_most=2**28), whole("repeats", repeats, at_least=1)
    found = torch.zeros(len(sizes), repeats, dtype=torch.float64)
    for i, size in enumerate(sizes):
        z = torch.ones(size)
        for k in range(-1, repeats):
            dist.barrier()
            start = time.perf_counter()
            dist.all_reduce(z)
            if k >= 0:
                found[i, k] = time.perf_counter() - start
    return found


def torch_plan(wires: Wires, *, x: Tensor, up: Tensor, down: Tensor, ours: bool) -> dict[str, Tensor]:
    """An MLP without biases, gelu between, dealt out by torch's own tensor-parallel plan, or by our layers with p = 1.

    Args:
        x: (B, S, h). up: (hidden, h). down: (h, hidden). ours: which of the two.

    Returns:
        y (B, S, h), and of the mean square of y the gradients dx (B, S, h), up and down: this rank's parts.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    from .model import column_parallel, row_parallel

    x = x.clone().requires_grad_()
    if flag("ours", ours):
        part = slice(wires.first * len(up) // wires.ranks, (wires.first + 1) * len(up) // wires.ranks)
        w_up, w_down = (w[None].clone().requires_grad_() for w in (up[part], down[:, part]))
        hidden = torch.nn.functional.gelu(column_parallel(wires._enter(x[None], 0), w_up))
        y = row_parallel(hidden, w_down, wires, x.shape[-1])[0]
        # The mean square is the same on every rank, and it is to count once: a share of it on each.
        dx, d_up, d_down = torch.autograd.grad(y.square().mean() / wires.ranks, [x, w_up, w_down])
        return {"y": y.detach(), "dx": dx, "up": d_up[0], "down": d_down[0]}
    (hidden_units, width), linear = up.shape, torch.nn.Linear
    mlp = torch.nn.Sequential(linear(width, hidden_units, bias=False), torch.nn.GELU(),
                              linear(hidden_units, width, bias=False)).to(x.dtype)  # fmt: skip
    with torch.no_grad():
        mlp[0].weight.copy_(up)
        mlp[2].weight.copy_(down)
    mesh = init_device_mesh("cpu", (wires.ranks,))
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    parallelize_module(mlp, mesh, plan)
    y = mlp(x)
    dx, *theirs = torch.autograd.grad(y.square().mean(), [x, *mlp.parameters()])
    d_up, d_down = (g.to_local() for g in theirs if isinstance(g, DTensor))
    return {"y": y.detach(), "dx": dx, "up": d_up, "down": d_down}
