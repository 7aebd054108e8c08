"""What every op does in the same way: it is found, chooses a backend, and is an operator of torch."""

from pathlib import Path

import torch

from implicitly_kernels._dispatch import BACKENDS, Dispatcher

FILES = dict(zip(BACKENDS, ("reference", "_numba", "_triton"), strict=True))


def ops():
    """The names of all ops, sorted: the folders beside this file that have a `spec.py`."""
    return tuple(sorted(spec.parent.name for spec in Path(__file__).parent.glob("*/spec.py")))


def dispatcher(op, function, name=None):
    """The backends of an op: `function` of its `reference.py`, `_numba.py` and `_triton.py`."""
    return Dispatcher(name or op, {b: f"implicitly_kernels.{op}.{file}:{function}" for b, file in FILES.items()})


def operator(name, shapes, *, refuses="the run is not differentiable", backward=None, setup=None):
    """Make of a function torch's operator implicitly::`name`, which torch.compile and autograd see as one.

    shapes: of the same arguments, gives empty results of the right shapes and dtypes. backward, setup: as in
    torch.library's register_autograd; without them a gradient is refused, with the words `refuses`.
    """

    def refuse(ctx, *gradients):
        raise NotImplementedError(f"{name}: {refuses}")

    def decorate(run):
        # Not torch.library.custom_op: its first call imports all of torch's compiler, for some four seconds.
        op = f"implicitly::{name}"
        torch.library.define(op, torch.library.infer_schema(run, mutates_args=()))
        torch.library.impl(op, ("cpu", "cuda"), run)
        torch.library.register_fake(op, shapes)
        torch.library.register_autograd(op, backward or refuse, setup_context=setup)
        return getattr(torch.ops.implicitly, name).default

    return decorate


def fresh(results, *given):
    """The results, copied where one is an argument: an operator may not return its input, as zero steps would."""
    return tuple(
        out.clone(memory_format=torch.contiguous_format) if any(out is one for one in given) else out for out in results
    )
