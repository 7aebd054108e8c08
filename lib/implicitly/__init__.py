"""Implicitly: the shared library of the book.

Nothing heavy is imported here: each public name is resolved on first use.
"""

from importlib import import_module
from pkgutil import iter_modules

__version__ = "0.3.0"

# A literal: the library's page reads it without importing anything.
_PUBLIC = {
    "claim": "implicitly.claims",
    "Claim": "implicitly.claims",
    "ClaimError": "implicitly.claims",
    "Bars": "implicitly.explorer",
    "Choice": "implicitly.explorer",
    "Explorer": "implicitly.explorer",
    "Field": "implicitly.explorer",
    "Heatmap": "implicitly.explorer",
    "Lines": "implicitly.explorer",
    "PageFunction": "implicitly.explorer",
    "Panel": "implicitly.explorer",
    "Points": "implicitly.explorer",
    "Predict": "implicitly.explorer",
    "Rule": "implicitly.explorer",
    "Seed": "implicitly.explorer",
    "Slider": "implicitly.explorer",
    "Trajectories": "implicitly.explorer",
    "glue": "implicitly.prose",
    "answer": "implicitly.exercises",
    "largest": "implicitly.claims",
    "page_function": "implicitly.explorer",
    "progress": "implicitly.explorer",
    "right_answer": "implicitly.exercises",
    "smallest": "implicitly.claims",
    "sweep": "implicitly.sweeps",
}
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
