"""What the processes in the tests of `run_ranks` do."""

import os
import signal
import time

import torch
from torch import distributed as dist

from implicitly import tensor_parallel as tp

LONG = 1000  # seconds: whoever sleeps so long ends in time only if somebody ends it


def sums(wires, z):
    """Sums of slices that are not contiguous: of all streams, of the first channels, and torch's own of a slice."""
    mine = z[wires.first : wires.first + 1]
    careless = mine.clone()
    part = careless[..., :2]
    dist.all_reduce(part)
    return {"all": wires.sum_streams(mine[..., :2]), "partial": wires.partial_sum(mine, 2, 3.0), "careless": part,
            "total": wires._total(mine[..., 0]), "max": wires._maximum(mine), "sent": list(wires.sent),
            "kept": torch.equal(mine, z[wires.first : wires.first + 1])}  # fmt: skip


def half_numbers(wires, z):
    """What the backward pass does with bfloat16: the gradient of a partial sum."""
    mine = z[wires.first : wires.first + 1].bfloat16().requires_grad_()
    up = mine.detach().clone()
    wires.partial_sum(mine, z.shape[-1]).backward(up)
    return mine.grad


def dies(wires, rank, folder):
    """All leave their process ids; one rank is killed while others wait for it, and rank 2 sleeps and knows nothing."""
    with open(f"{folder}/{wires.first}", "w") as file:
        file.write(str(os.getpid()))
    wires.sum_streams(torch.ones(1, 4))  # nobody goes on before all ids are there
    if wires.first == rank:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    if wires.first != 2:
        wires.sum_streams(torch.ones(1, 4))
    time.sleep(LONG)


def raises(wires):
    """One rank fails in its own code."""
    if wires.first == 1:
        raise ValueError("one rank has had enough")
    wires.sum_streams(torch.ones(1, 4))


def sleeps(wires):
    time.sleep(LONG)


def trained(wires, shared, shape, steps):
    """A few steps of the small model in float64; the losses and a weight of each kind."""
    done = tp.train(wires, shared, 0, shape=shape, steps=steps, batch=2, double=True)
    return {"train": done.train, "test": done.test, "weights": done.weights}


def plans(wires, **given):
    """An MLP by our layers and by torch's plan."""
    return tp.torch_plan(wires, ours=True, **given), tp.torch_plan(wires, ours=False, **given)


def two(wires, z, shared, shape, steps, mlp):
    """All that two processes are asked, in one start."""
    return {"sums": sums(wires, z), "trained": trained(wires, shared, shape, steps), "plans": plans(wires, **mlp)}


def three(wires, settings, z):
    """All that three processes are asked."""
    return {"gradients": tp.all_gradients(wires, settings=settings), "half": half_numbers(wires, z)}
