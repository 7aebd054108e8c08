"""Implicitly: the shared library of the book.

Nothing heavy is imported here: each public name is resolved on first use.
"""

from importlib import import_module
from pkgutil import iter_modules

__version__ = "0.1.0"

_PUBLIC = {
    "claim": "implicitly.claims",
    "Claim": "implicitly.claims",
    "ClaimError": "implicitly.claims",
    **dict.fromkeys(
        (
            "Bars", "Choice", "Explorer", "Field", "Heatmap", "Lines", "Panel", "Points", "Rule", "Slider",
            "Trajectories",
        ),
        "implicitly.explorer",
    ),
    "sweep": "implicitly.sweeps",
}  # fmt: skip
_MODULES = tuple(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))

__all__ = [*_PUBLIC, *_MODULES]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return import_module(f"implicitly.{name}")
    raise AttributeError(f"module 'implicitly' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
