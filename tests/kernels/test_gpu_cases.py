"""The cases that only a GPU is to run: in small here, and compiled for one."""

import importlib
import os
import subprocess
import sys

import pytest
from lanes import ROOT

# cases that no chapter runs: what each adds to its op, in small, and whether eager torch computes what we do
SMALL = {"chains": 2048, "problems": 32, "rows": 64, "cols": 128}
ALONE = {
    ("langevin", "65536 chains, 4-10-1, 1000 steps, Metropolis"): "law",
    ("perm_gd", "65536 problems, N = 30, d = 5, K = 3, 1000 steps, float32"): 1e-3,
    ("nvfp4", "rtn 8192 x 8192"): 0.0,
    ("nvfp4", "rtn 16384 x 16384, bfloat16"): 0.0,
    ("nvfp4", "quantize alone, rtn 16384 x 16384"): 0.0,
    ("nvfp4", "dequantize alone, 16384 x 16384"): 0.0,
}


@pytest.fixture
def peers_of(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "kernels" / "benchmarks"))
    return lambda op: importlib.import_module(f"peers.{op}")


def shrunk(op, name, **more):
    case = importlib.import_module(f"implicitly_kernels.{op}.spec").GPU_CASES[name]
    return {key: min(value, SMALL[key]) if key in SMALL else value for key, value in case.items()} | more


@pytest.mark.parametrize("op, name", ALONE)
def test_a_case_of_the_gpu_is_the_same_work_for_eager_torch(peers_of, op, name):
    import torch

    module = peers_of(op)
    few = {"steps": module.FEW} if hasattr(module, "FEW") else {}
    got = {}
    for backend, _, fn, items, _ in module.runs(shrunk(op, name, **few), "cpu"):
        if backend == "numba" or backend.startswith("eager"):
            torch.manual_seed(0)
            result = fn()
            got[backend] = [out.float() for out in (result if isinstance(result, tuple) else (result,))], items
    ours, most = got.pop("numba"), ALONE[op, name]
    assert got
    for theirs, items in got.values():
        assert items == ours[1]
        if most == "law":  # other random numbers
            means = [theta.square().mean(1) for theta in (theirs[0], ours[0][0])]
            error = sum(mean.var() / len(mean) for mean in means) ** 0.5
            assert abs(means[0].mean() - means[1].mean()) < 4 * error
        else:
            pairs = [(a.squeeze(), b.squeeze()) for a, b in zip(theirs, ours[0], strict=False)]
            assert all((a - b).norm() <= most * b.norm() for a, b in pairs)


def test_steps_that_metropolis_refuses_are_refused_by_eager_torch(peers_of):
    """The law of the start is far from the chain's, so that a chain that takes each step would be seen."""
    import torch

    module, case = peers_of("langevin"), shrunk("langevin", "65536 chains, 4-10-1, 1000 steps, Metropolis")
    moved = {}
    for metropolis in (True, False):
        entries = {backend: fn for backend, _, fn, _, _ in module.runs(case | {"metropolis": metropolis}, "cpu")}
        for name in ("eager", "eager, vmap"):
            torch.manual_seed(0)
            moved[name, metropolis] = entries[name]()
    by_hand, by_vmap = (moved[name, True] for name in ("eager", "eager, vmap"))
    assert ((by_hand - by_vmap).abs().amax(1) < 1e-3).float().mean() > 0.99  # rounding may turn a choice over
    assert ((by_hand - moved["eager", False]).abs().amax(1) > 1e-3).float().mean() > 0.3


@pytest.mark.compile
def test_cases_of_the_gpu_compile_without_one():
    pytest.importorskip("triton")
    code = ("import sys; sys.path[:0] = ['kernels/benchmarks', 'kernels']; from gpu_variants import compiled\n"
            f"for op, case in {[(op, shrunk(op, name)) for op, name in ALONE]}: print(op, compiled(op, case)['regs'])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          env={k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"})  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [op for op, _ in ALONE]
