"""The lanes. One test body runs for every (backend, device) that this process can run.

- cpu: reference and numba. `pytest tests/kernels -m "not gpu and not interp and not compile"`
- interp: Triton's interpreter. `TRITON_INTERPRET=1 pytest tests/kernels -m interp`
- compile: the Triton sources for sm_80, sm_90, sm_100, no GPU. `pytest tests/kernels -m compile`
- gpu: CUDA. `pytest tests/kernels -m gpu -rs`
"""

import importlib.util
import itertools
import sys

import numpy as np
import pytest
import torch
from lanes import LANES, ROOT, params

from implicitly_kernels import _memory


def pytest_configure(config):
    config.addinivalue_line("markers", "interp: runs Triton's interpreter (TRITON_INTERPRET=1)")
    config.addinivalue_line("markers", "compile: compiles the Triton kernels, without a GPU")


@pytest.fixture(params=params(LANES))
def lane(request):
    """(backend, device): every implementation, the reference included."""
    return request.param


@pytest.fixture(params=params([p for p in LANES if p[0] != "reference"]))
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
