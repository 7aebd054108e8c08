"""Train the small language model in as many processes as ``torchrun`` starts, on one machine or on several.

    torchrun --standalone --nproc-per-node 4 -m implicitly.tensor_parallel.launch --p 0.5 --steps 100
    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
        -m implicitly.tensor_parallel.launch --p 0.5 --width 512 --heads 16 --hidden 1536

NCCL where there are GPUs, else gloo. Without ``torchrun`` it starts `--ranks` processes here, by `run_ranks`.
"""

import argparse
import os
import time

import torch

from .language import SMALL, train
from .model import Shape
from .processes import Processes, run_ranks
from .streams import Wires, shared_channels

__all__: list[str] = []


def job(wires: Wires, *, p: float, seed: int, steps: int, sizes: dict[str, int]) -> dict[str, float]:
    """Train here, as one of several processes.

    Args:
        p: share of the channels that are summed, 0 to 1. seed, steps: as for `language.train`.
        sizes: fields of `SMALL` that are replaced.

    Returns:
        test: nats a character. first, last: mean training loss of the first and of the last ten batches. bytes: of the
        all-reduces of this process. seconds.
    """
    shape = Shape(**{**vars(SMALL), **sizes})
    start = time.perf_counter()
    done = train(wires, shared_channels(p, shape.width), seed, shape=shape, steps=steps)
    seconds = time.perf_counter() - start
    return {"test": done.test, "first": float(done.train[:10].mean()), "last": float(done.train[-10:].mean()),
            "bytes": float(sum(s.bytes for s in getattr(wires, "sent", ()))), "seconds": seconds}  # fmt: skip


def main(words: list[str] | None = None) -> None:
    """Read the command line, train, and say on rank 0 what came out."""
    parser = argparse.ArgumentParser(prog="python -m implicitly.tensor_parallel.launch",
                                     description=__doc__.split("\n")[0])  # fmt: skip
    parser.add_argument("--p", type=float, default=0.5, help="share of the channels that are summed (0.5)")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    for name in ("layers", "width", "heads", "hidden", "context"):
        parser.add_argument(f"--{name}", type=int, default=getattr(SMALL, name), help=f"({getattr(SMALL, name)})")
    parser.add_argument("--ranks", type=int, default=2, help="without torchrun: processes on this machine (2)")
    parser.add_argument("--port", type=int, help="without torchrun: where they meet; by default in a file")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds (600)")
    asked = parser.parse_args(words)
    sizes = {name: getattr(asked, name) for name in ("layers", "width", "heads", "hidden", "context")}
    given = dict(p=asked.p, seed=asked.seed, steps=asked.steps, sizes=sizes)
    if "RANK" in os.environ:
        wires = Processes.from_environment(timeout=asked.timeout)
        found, ranks = job(wires, **given), wires.ranks
        torch.distributed.destroy_process_group()
        if wires.first:
            return
    else:
        ranks = asked.ranks
        found = run_ranks(job, ranks, timeout=asked.timeout, port=asked.port, **given)[0]
    print(f"{ranks} ranks, p = {asked.p:g}: test loss {found['test']:.4f} nats a character, "
          f"{found['bytes'] / 1e6:.1f} MB added up by each rank, {found['seconds']:.1f} s")  # fmt: skip


if __name__ == "__main__":
    main()
