"""Plant a fault in the library: what a name means is replaced wherever the library has bound it."""

import importlib
import pkgutil
import sys

import implicitly
import implicitly_kernels


def owner_of(path: str):
    """The module or class that ``implicitly.diffusion.SimplexDenoiser.cost`` is bound in, and its name there."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:-1]:
            owner = getattr(owner, part)
        getattr(owner, parts[-1])
        return owner, parts[-1]
    raise ValueError(f"no such name: {path}")


def plant(monkeypatch, path: str, fault) -> None:
    """Replace a function, class or method of the library by `fault` until the test ends.

    A module binds what it imports under a name of its own; each such binding is replaced.
    """
    owner, name = owner_of(path)
    if isinstance(owner, type):
        monkeypatch.setattr(owner, name, fault)
        return
    original = getattr(owner, name)
    for package in (implicitly, implicitly_kernels):  # what is imported later would bind the original
        if owner.__name__.startswith(package.__name__ + "."):
            subject = ".".join(owner.__name__.split(".")[:2])
            for info in pkgutil.walk_packages(getattr(sys.modules[subject], "__path__", ()), subject + "."):
                importlib.import_module(info.name)
    for module in [m for n, m in sys.modules.items() if n.startswith(("implicitly.", "implicitly_kernels."))]:
        for bound, value in list(vars(module).items()):
            if value is original:
                monkeypatch.setattr(module, bound, fault)
