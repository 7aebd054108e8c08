"""The lanes. One test body runs for every (backend, device) that this process can run.

- cpu: reference and numba. `pytest tests/kernels -m "not gpu and not interp and not compile"`
- interp: Triton's interpreter. `TRITON_INTERPRET=1 pytest tests/kernels -m interp`
- compile: the Triton sources for sm_80, sm_90, sm_100, no GPU. `pytest tests/kernels -m compile`
- gpu: CUDA. `pytest tests/kernels -m gpu -rs`
"""

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from implicitly_kernels import _memory

ROOT = Path(__file__).resolve().parents[2]
INTERPRETING = os.environ.get("TRITON_INTERPRET") == "1"


def pytest_configure(config):
    config.addinivalue_line("markers", "interp: runs Triton's interpreter (TRITON_INTERPRET=1)")
    config.addinivalue_line("markers", "compile: compiles the Triton kernels, without a GPU")


NEEDS_TRITON = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
_interp = [
    pytest.mark.interp,
    pytest.mark.skipif(not INTERPRETING, reason="needs TRITON_INTERPRET=1"),
    NEEDS_TRITON,
]
_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
    pytest.mark.skipif(INTERPRETING, reason="TRITON_INTERPRET=1 cannot launch on a GPU"),
]
LANES = {
    ("reference", "cpu"): [],
    ("numba", "cpu"): [],
    ("triton", "cpu"): _interp,
    ("reference", "cuda"): _gpu,
    ("triton", "cuda"): _gpu,
}


def _params(pairs):
    return [
        pytest.param(pair, id="-".join(pair), marks=LANES[pair]) for pair in pairs
    ]


@pytest.fixture(params=_params(LANES))
def lane(request):
    """(backend, device): every implementation, the reference included."""
    return request.param


@pytest.fixture(params=_params([p for p in LANES if p[0] != "reference"]))
def fast_lane(request):
    """(backend, device): the implementations that are held against the reference."""
    return request.param


@pytest.fixture
def small(fast_lane):
    """True where shapes must be small: the interpreter pays about 0.1 ms a tile operation."""
    return fast_lane == ("triton", "cpu")


def _torch_dtype(dtype):
    return torch.from_numpy(np.zeros(0, dtype)).dtype


GUARD = 64  # elements on either side: a write there is out of bounds


@pytest.fixture(autouse=True)
def poisoned_outputs(monkeypatch, request):
    """Uninitialised memory is NaN or a strange number, between guard elements checked afterwards."""
    guards = []
    # opcheck compares storage offsets with the fake implementation's, so there only poison.
    margin = 0 if "opcheck" in request.node.name else GUARD
    new_empty = torch.Tensor.new_empty

    def poisoned_new_empty(self, *size, **kwargs):
        if type(self) is not torch.Tensor:  # fake tensors hold no memory
            return new_empty(self, *size, **kwargs)
        size = tuple(size[0]) if size and not isinstance(size[0], int) else tuple(size)
        n = int(np.prod(size, dtype=np.int64))
        whole = new_empty(self, (n + 2 * margin,), **kwargs)
        value = float("nan") if whole.dtype.is_floating_point else 0x25
        whole.fill_(value)
        guards.append((whole, n, value))
        return whole[margin:margin + n].view(size)

    def poisoned_memory(shape, dtype):
        return torch.zeros(0).new_empty(shape, dtype=_torch_dtype(dtype)).numpy()

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned_new_empty)
    monkeypatch.setattr(_memory, "empty", poisoned_memory)
    yield
    for whole, n, value in guards:
        edge = torch.cat([whole[:margin], whole[margin + n:]]).cpu()
        untouched = edge.isnan() if edge.dtype.is_floating_point else edge == value
        assert untouched.all(), "a kernel wrote outside its output"


_serial = itertools.count()


@pytest.fixture
def mutant(tmp_path):
    """mutant(path, old, new): a copy of one source file with a planted fault, imported."""

    def make(path, old, new):
        source = (ROOT / path).read_text()
        assert source.count(old) >= 1, f"{old!r} is not in {path}"
        name = f"mutant_{next(_serial)}"
        file = tmp_path / f"{name}.py"
        file.write_text(source.replace(old, new))
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return make


def said_on(target, code, cache):
    """What a process prints whose numba compiles for another CPU, whatever this one was told.

    target: NUMBA_CPU_NAME and NUMBA_CPU_FEATURES; with none of them it compiles for this CPU. cache: a folder for what
    is compiled for another.
    """
    env = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")}
    env |= {"NUMBA_CACHE_DIR": str(cache), **target} if target else {}
    return subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout


def bits_equal(a, b):
    """Same shape and dtype and, in float32, the same bits (any NaN equals any NaN)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    a, b = a.cpu(), b.cpu()
    if a.dtype != torch.float32:
        return torch.equal(a, b)
    nan = a.isnan()
    return torch.equal(nan, b.isnan()) and torch.equal(
        a.masked_fill(nan, 0).view(torch.int32), b.masked_fill(nan, 0).view(torch.int32)
    )


def relative_error(a, b):
    """Frobenius norm of a - b over that of b, in float64."""
    a, b = a.double().cpu(), b.double().cpu()
    return float((a - b).norm() / b.norm().clamp_min(1e-300))
