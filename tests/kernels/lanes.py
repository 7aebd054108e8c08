"""The lanes that `conftest.py` tells of, and how their results are compared."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
INTERPRETING = os.environ.get("TRITON_INTERPRET") == "1"

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


def params(pairs):
    return [
        pytest.param(pair, id="-".join(pair), marks=LANES[pair]) for pair in pairs
    ]


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
