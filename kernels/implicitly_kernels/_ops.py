"""What every op does in the same way: it is found, chooses a backend, and is an operator of torch."""

from pathlib import Path

import torch

from implicitly_kernels._dispatch import BACKENDS, Dispatcher

_LIBRARY = torch.library.Library("implicitly", "FRAGMENT")
FILES = dict(zip(BACKENDS, ("reference", "_numba", "_triton"), strict=True))


def ops():
    """The names of all ops, sorted: the folders beside this file that have a `spec.py`."""
    return tuple(sorted(spec.parent.name for spec in Path(__file__).parent.glob("*/spec.py")))


def dispatcher(op, function, name=None):
    """The backends of an op: `function` of its `reference.py`, `_numba.py` and `_triton.py`, those that are there."""
    home = Path(__file__).parent / op
    found = {b: file for b, file in FILES.items() if (home / f"{file}.py").exists()}
    return Dispatcher(name or op, {b: f"implicitly_kernels.{op}.{file}:{function}" for b, file in found.items()})


def operator(name, shapes, *, refuses="the run is not differentiable", backward=None, setup=None, mutates=()):
    """Make of a function torch's operator implicitly::`name`, which torch.compile and autograd see as one.

    shapes: of the same arguments, gives empty results of the right shapes and dtypes. backward, setup: as in
    torch.library's register_autograd; without them a gradient is refused, with the words `refuses`. mutates: names of
    the tensors that it changes; it then returns None, has no backward, and refuses as soon as a gradient would be
    recorded.
    """

    def refuse(ctx, *gradients):
        raise NotImplementedError(f"{name}: {refuses}")

    def decorate(run):
        # Not torch.library.custom_op: its first call imports all of torch's compiler, for some four seconds.
        op = f"implicitly::{name}"
        torch.library.define(op, torch.library.infer_schema(run, mutates_args=mutates))
        torch.library.impl(op, ("cpu", "cuda"), run)
        torch.library.register_fake(op, shapes)
        made = getattr(torch.ops.implicitly, name).default
        if mutates:
            places = [i for i, one in enumerate(made._schema.arguments) if one.name in mutates]
            _LIBRARY.impl(name, _in_place(made, places, f"{name}: {refuses}"), "Autograd", with_keyset=True)
        else:
            torch.library.register_autograd(op, backward or refuse, setup_context=setup)
        return made

    return decorate


def _in_place(made, places, refusal):
    """What autograd does with an operator that changes its arguments at `places`; torch.library has it for none."""

    def run(keyset, *args):
        if torch.is_grad_enabled() and any(isinstance(a, torch.Tensor) and a.requires_grad for a in args):
            raise NotImplementedError(refusal)
        for i in places:  # so that a backward that saved the old values says that they are gone
            torch.autograd.graph.increment_version(args[i])
        return made.redispatch(keyset & torch._C._after_ADInplaceOrView_keyset, *args)

    return run


def fresh(results, *given):
    """The results, copied where one is an argument: an operator may not return its input, as zero steps would."""
    return tuple(
        out.clone(memory_format=torch.contiguous_format) if any(out is one for one in given) else out for out in results
    )
