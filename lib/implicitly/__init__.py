"""Implicitly: the shared library of the book.

Nothing heavy is imported here: each public name is resolved on first use.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "claim": "implicitly.claims",
    "Claim": "implicitly.claims",
    "ClaimError": "implicitly.claims",
    "Explorer": "implicitly.explorer",
}
_MODULES = (
    "claims",
    "denoisers",
    "explorer",
    "figures",
    "flows",
    "langevin",
    "line_fits",
    "markov",
    "max_margin",
    "noisy_digits",
    "pac_bayes",
    "perm_losses",
    "plotting",
    "stable_minima",
    "sweep",
    "tempered",
    "threshold_circuits",
    "threshold_nets",
    "threshold_rules",
    "typical_nets",
)  # fmt: skip

__all__ = [*_PUBLIC, *_MODULES]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return import_module(f"implicitly.{name}")
    raise AttributeError(f"module 'implicitly' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
