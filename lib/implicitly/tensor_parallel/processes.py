"""One stream a process: the wires of `torch.distributed`, and a launcher whose processes never outlive it.

`run_ranks` starts the processes on this machine (gloo, loopback) from a notebook or a script; under ``torchrun``
`Processes.from_environment` joins the group that it describes (gloo on CPUs, NCCL on GPUs, several nodes).

Source: arXiv 2506.19645 and its code; chapter `partial-synchronization`, C1 to C3. Bad arguments raise TypeError or
ValueError; what goes wrong in a process raises RuntimeError, what takes too long TimeoutError.
"""

import datetime
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch import distributed as dist

from .._validate import function, number, whole
from .streams import Wires

__all__ = ["Processes", "Sent", "run_ranks"]

HOST = "127.0.0.1"
_OPS = {"sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX}


class Sent(NamedTuple):
    """One all-reduce: elements and bytes of the tensor (a ring sends 2 (P - 1) / P times that, each rank)."""

    elements: int
    bytes: int


class _Total(torch.autograd.Function):
    """Sum over ranks; backward is the identity: every rank has the same loss, and it counts once."""

    @staticmethod
    def forward(ctx, z, wires):
        return wires._reduce(z)

    @staticmethod
    def backward(ctx, up):
        return up, None


class Processes(Wires):
    """The wires of a process in an initialized group of `torch.distributed`; the group's rank holds that stream.

    Args:
        rule: of the backward pass, one of `RULES`.

    Attributes:
        sent: list of `Sent`, one for each all-reduce so far; `sent.clear()` starts anew.
        device: where this process computes.
    """

    def __init__(self, rule: str = "adjoint"):
        if not dist.is_initialized():
            raise RuntimeError("no group of processes: call run_ranks, or Processes.from_environment under torchrun")
        super().__init__(dist.get_world_size(), 1, dist.get_rank(), rule)
        self.sent: list[Sent] = []
        cuda = dist.get_backend() == "nccl"
        self.device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")

    @classmethod
    def from_environment(cls, rule: str = "adjoint", *, timeout: float = 60.0) -> "Processes":
        """Join the group that ``torchrun`` describes in the environment: NCCL where there are GPUs, else gloo."""
        wanted = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
        if wanted:
            raise RuntimeError(f"not started by torchrun: {', '.join(wanted)} missing in the environment")
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if cuda else "gloo", timeout=datetime.timedelta(seconds=number(
            "timeout", timeout, above=0)))  # fmt: skip
        return cls(rule)

    def _reduce(self, z: Tensor, op: str = "sum") -> Tensor:
        """A new tensor: z summed ("sum") or the largest ("max") over all ranks, and one entry more in `sent`."""
        # A slice of channels is not contiguous, and gloo would take the first numbers in memory for it, silently.
        found = z.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(found, _OPS[op])
        self.sent.append(Sent(found.numel(), found.numel() * found.element_size()))
        return found

    def sum_streams(self, z: Tensor, *, wide: bool = False) -> Tensor:
        return self._reduce(z.float()).to(z.dtype) if wide and z.dtype.itemsize < 4 else self._reduce(z)

    def _total(self, z):
        return _Total.apply(z, self)

    def _maximum(self, z):
        return self._reduce(z, "max")


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise RuntimeError(f"port {port} on {HOST} cannot be had ({error.strerror}): name another, or leave `port` "
                               "out, and the processes meet in a file instead") from None  # fmt: skip


def _environment() -> dict[str, str]:
    package = str(Path(__file__).parents[2])
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join(p for p in (found.get("PYTHONPATH", ""), package) if p)
    found.setdefault("OMP_NUM_THREADS", "1")
    if sys.platform.startswith("linux"):
        found.setdefault("GLOO_SOCKET_IFNAME", "lo")
    return found


def _verdict(started: list, folder: Path) -> str:
    """Which rank failed first, and how: one that a signal ended, else the earliest that raised."""
    time.sleep(0.2)  # who waited for a killed rank may be seen to end before it
    codes = [p.poll() for p in started]
    for rank, code in enumerate(codes):
        if code is not None and code < 0:
            return f"rank {rank} of {len(started)} was ended by {signal.Signals(-code).name}; the others were stopped"
    errors = []
    for rank in range(len(started)):
        if (file := folder / f"error-{rank}").exists():
            when, _, text = file.read_text().partition("\n")
            errors.append((int(when), rank, text))
    if errors:
        _, rank, text = min(errors)
        return f"rank {rank} of {len(started)} failed; the others were stopped.\n{text}"
    rank = next(r for r, code in enumerate(codes) if code)
    said = (folder / f"stderr-{rank}").read_text(errors="replace")[-2000:]
    return f"rank {rank} of {len(started)} ended with code {codes[rank]}; the others were stopped.\n{said}"


def run_ranks(
    job: Callable[..., Any], ranks: int, /, *, timeout: float = 60.0, port: int | None = None, **given: Any
) -> list:
    """Call `job(wires, **given)` in `ranks` new processes on this machine, and return what each of them returned.

    The processes compute with one thread each and talk by gloo over the loopback. Whatever happens, none is left
    running: not after an error, not after the time-out, not when this process is killed.

    Args:
        job: a function of an importable module; its first argument is a `Processes`. What it is given and what it
            returns are saved by `torch.save`: tensors, numbers, texts, lists, dicts.
        ranks: number of processes, 1 to 64.
        timeout: seconds until all must be done, above 0.
        port: where the processes meet, 1 to 65535; left out, they meet in a file, and no port can be taken.
        given: passed on.

    Raises:
        RuntimeError: the port cannot be had; or a process failed or was killed, with its rank and what it said.
        TimeoutError: not all were done in time.

    Example (of a script's main part):
        ``run_ranks(jobs.gradients, 2, shape=..., weights=..., tokens=..., shared=16)``
    """
    function("job", job)
    if job.__module__ == "__main__" or "<" in job.__qualname__:
        raise ValueError(f"job must be a function of a module that other processes can import, found {job.__qualname__}"
                         f" of {job.__module__}")  # fmt: skip
    ranks, timeout = whole("ranks", ranks, at_least=1, at_most=64), number("timeout", timeout, above=0)
    if port is not None:
        _check_port(port := whole("port", port, at_least=1, at_most=65535))
    end = time.monotonic() + timeout
    with tempfile.TemporaryDirectory(prefix="implicitly-ranks-") as name:
        folder, started = Path(name), []
        meet = f"tcp://{HOST}:{port}" if port else (folder / "meet").as_uri()
        torch.save({"job": (job.__module__, job.__qualname__), "ranks": ranks, "timeout": timeout, "path": sys.path,
                    "meet": meet, "given": given}, folder / "job.pt")  # fmt: skip
        try:
            for rank in range(ranks):
                with open(folder / f"stderr-{rank}", "w") as said:
                    started.append(subprocess.Popen(
                        [sys.executable, "-m", "implicitly.tensor_parallel._worker", name, str(rank), str(os.getpid())],
                        env=_environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said))  # fmt: skip
            while any(p.poll() is None for p in started):
                if any(p.poll() for p in started):
                    raise RuntimeError(_verdict(started, folder))
                if time.monotonic() > end:
                    late = [r for r, p in enumerate(started) if p.poll() is None]
                    raise TimeoutError(f"ranks {late} of {ranks} were not done after {timeout:g} s and were stopped")
                time.sleep(0.02)
            if any(p.poll() for p in started):
                raise RuntimeError(_verdict(started, folder))
            return [torch.load(folder / f"result-{r}.pt", weights_only=False) for r in range(ranks)]
        finally:
            for p in started:
                if p.poll() is None:
                    p.kill()
            for p in started:
                p.wait()
