"""Which implementation runs: one registry, no silent fallback.

Every op has a `reference` (plain torch, any device). Some also have `triton` (a CUDA device, or the
Triton interpreter on the CPU) and `numba` (CPU). `backend="auto"` takes the fastest that can run
where the tensor lives, and the reference, with a warning, for arguments which that one does not take;
a named backend that cannot run raises and lists those that can.
"""

import functools
import logging
import os
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec

BACKENDS = ("reference", "numba", "triton")
log = logging.getLogger("implicitly_kernels")


class Unsupported(ValueError):
    """Raised by a fast backend, before it computes, for valid arguments that it does not take."""


def interpreting() -> bool:
    """True when Triton kernels run in its interpreter (read once by Triton, at import)."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@functools.cache
def _found(find, name: str) -> bool:
    """A search costs half a millisecond, more than many calls of an op. `find` is a key, since tests replace it."""
    return find(name) is not None


def _installed(name: str) -> bool:
    try:
        return _found(find_spec, name)
    except ValueError:  # a module that was blocked by sys.modules[name] = None
        return False


def _why_not(backend: str, device_type: str) -> str | None:
    """The reason why `backend` cannot run on `device_type`, or None when it can."""
    if backend == "numba":
        if device_type != "cpu":
            return f"runs on CPU tensors, got {device_type}"
        if not _installed("numba"):
            return "numba is not installed"
    if backend == "triton":
        if not _installed("triton"):
            return "triton is not installed"
        if interpreting() and device_type != "cpu":
            return f"TRITON_INTERPRET=1 runs on CPU tensors, got {device_type}"
        if not interpreting() and device_type != "cuda":
            return f"needs a CUDA tensor (or TRITON_INTERPRET=1), got {device_type}"
    return None


@dataclass
class Dispatcher:
    """The backends of one op. `paths` maps backend to "module:function", imported on first use."""

    name: str
    paths: dict[str, str]
    _loaded: dict = field(default_factory=dict)
    _said: set = field(default_factory=set)

    def available(self, device_type: str) -> list[str]:
        """Backends that can run on tensors of `device_type`, in the order of BACKENDS."""
        return [b for b in BACKENDS if b in self.paths and _why_not(b, device_type) is None]

    def choose(self, backend: str, device_type: str) -> str:
        """The backend that a call with this argument runs; ValueError or RuntimeError if none."""
        if backend not in ("auto", *BACKENDS):
            raise ValueError(
                f"backend: expected one of {('auto', *BACKENDS)}, got {backend!r}"
            )
        if backend == "auto" and os.environ.get("IMPLICITLY_BACKEND"):
            backend = os.environ["IMPLICITLY_BACKEND"]
            if backend not in BACKENDS:
                raise ValueError(
                    f"IMPLICITLY_BACKEND: expected one of {BACKENDS}, got {backend!r}"
                )
        can = self.available(device_type)
        if backend == "auto":
            wanted = "triton" if device_type == "cuda" else "numba"
            if wanted in can:
                return wanted
            if wanted not in self.paths:  # there is none to miss
                return "reference"
            self._warn(f"{wanted} is not available, using the torch reference")
            return "reference"
        if backend not in can:
            why = (
                _why_not(backend, device_type)
                if backend in self.paths
                else "this op has no such implementation"
            )
            raise RuntimeError(
                f"{self.name}: backend {backend!r} is not available ({why}); "
                f"available for {device_type} tensors: {', '.join(can)}"
            )
        return backend

    def load(self, backend: str):
        """The implementation itself (imported on first use)."""
        if backend not in self._loaded:
            module, function = self.paths[backend].split(":")
            self._loaded[backend] = getattr(import_module(module), function)
        return self._loaded[backend]

    def _warn(self, text: str):
        """Say it the first time."""
        if text not in self._said:
            self._said.add(text)
            log.warning("%s: %s", self.name, text)

    def __call__(self, backend: str, tensor):
        """The implementation to call for this backend argument and this tensor's device."""
        run = self.load(self.choose(backend, tensor.device.type))
        if backend != "auto" or os.environ.get("IMPLICITLY_BACKEND"):
            return run

        def run_or_reference(*args):
            try:
                return run(*args)
            except Unsupported as reason:
                self._warn(f"{reason}; using the torch reference")
                return self.load("reference")(*args)

        return run_or_reference


def available_backends(device: str = "cpu") -> list[str]:
    """Backends that can run on tensors of `device` ("cpu" or "cuda") in this process."""
    if not isinstance(device, str) or device not in ("cpu", "cuda"):
        shown = repr(device) if isinstance(device, str) else type(device).__name__
        raise ValueError(f"device: expected 'cpu' or 'cuda', got {shown}")
    return [b for b in BACKENDS if _why_not(b, device) is None]
