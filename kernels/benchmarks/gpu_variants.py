"""Time other launches than the default ones: tiles and warps that only a measurement can decide.

    python kernels/benchmarks/gpu_variants.py --out variants.json    on a GPU, about a minute
    python kernels/benchmarks/gpu_variants.py --dry-run              without one: compile each for Hopper

Each is first held against the default's result, on a small case; a variant that fails costs its own row, and the file
is written anew after each row.
"""

import argparse
import contextlib
import functools
import importlib
import json
import sys
from pathlib import Path
from unittest.mock import patch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # it runs where nothing of ours is installed

HOPPER = 90
SMALL = {"chains": 512, "nets": 64, "particles": 4096, "problems": 64, "rows": 256, "steps": 8}
BOUNDS = {"nvfp4": 0.0, "perm_gd": 1e-9}  # largest relative error; of what computes in float32 1e-5

FP4 = {
    "2 warps": {"WARPS": 2},
    "8 warps": {"WARPS": 8},
    "128 rows": {"ROWS": 128},
    "128 rows, 8 warps": {"ROWS": 128, "WARPS": 8},
}
# (op, case of its GPU_CASES): {variant: names of the op's `_triton.py`, and what stands in their place}
VARIANTS = {
    ("nvfp4", "rtn 16384 x 16384"): FP4,
    ("nvfp4", "sr 16384 x 16384"): FP4,
    ("relu_flow", "1M particles, m = d = 30, 100 steps"): {
        "32 particles": {"tile": lambda m, stages: (32, 32, 4)},
        "64 particles, 8 warps": {"tile": lambda m, stages: (64, 32, 8)},
    },
    ("relu_gd", "64 networks, k = 100, n = 40, 1000 steps, float32"): {
        "4 warps": {"WARPS": 4},
        "4 warps, 16 samples": {"WARPS": 4, "tile": lambda k: (16, 128)},
    },
    ("relu_gd", "16384 networks, k = 100, n = 40, 1000 steps, float32"): {
        "4 warps, 16 samples": {"WARPS": 4, "tile": lambda k: (16, 128)},
        "8 samples": {"tile": lambda k: (8, 128)},
    },
    ("perm_gd", "65536 problems, N = 30, d = 5, K = 3, 1000 steps"): {
        "2 warps": {"tile": lambda n, k, d: (32, 4, 8, 2)},
    },
    ("perm_gd", "16384 problems, N = 100, d = 10, K = 3, 1000 steps"): {
        "4 warps": {"tile": lambda n, k, d: (128, 4, 16, 4)},
        "16 warps": {"tile": lambda n, k, d: (128, 4, 16, 16)},
    },
    ("langevin", "65536 chains, 4-10-1, 1000 steps"): {
        "8 weights a thread": {"THREAD": 8},
        "20 weights a thread": {"THREAD": 20},
        "20 weights a thread, 168 registers": {"THREAD": 20, "REGISTERS": (168, 168)},
    },
    ("langevin", "4096 chains, 4-10-1, 1000 steps"): {
        "4 weights a thread": {"THREAD": 4},
        "8 weights a thread": {"THREAD": 8},
        "20 weights a thread, 168 registers": {"THREAD": 20, "REGISTERS": (168, 168)},
    },
}


def ours(op, case, device):
    """The function that the benchmark times for our Triton backend."""
    runs = importlib.import_module(f"peers.{op}").runs(case, device)
    return next(fn for backend, _, fn, _, _ in runs if backend == "triton")


def error(got, want):
    """The largest relative error of the tensors of a result; infinite where whole numbers differ or a NaN is."""
    worst = 0.0
    for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (got, want)), strict=True):
        if not a.is_floating_point() or a.equal(b):
            worst = max(worst, 0.0 if a.equal(b) else float("inf"))
            continue
        difference = float((a - b).double().norm() / b.double().norm())
        worst = max(worst, difference if difference == difference else float("inf"))
    return worst


@contextlib.contextmanager
def compiling(arch):
    """Each launch compiles for this chip and runs nothing; gives the list of what they use."""
    from triton.runtime import JITFunction, driver

    from implicitly_kernels._compile import StubDriver, usage

    used, run, told = [], JITFunction.run, functools.cache(usage)  # of a binary that many launches share, once

    def compile_only(self, *args, grid, warmup, **kwargs):
        used.append(told(run(self, *args, grid=grid, warmup=True, **kwargs)))

    driver.set_active(StubDriver(arch))
    only_triton = patch("implicitly_kernels._dispatch._why_not", lambda backend, _: backend != "triton" or None)
    with patch.object(JITFunction, "run", compile_only), only_triton:
        yield used


def compiled(op, case):
    """What the launches of one call use, the most of each."""
    with compiling(HOPPER) as used:
        ours(op, case, "cpu")()
    return {key: max(u[key] for u in used) for key in ("regs", "spills", "shared", "warps")}


def rows(variants, dry):
    """One row a variant, the default before the others of its case."""
    from run import told
    from timing import measure

    for (op, name), others in variants.items():
        module = importlib.import_module(f"implicitly_kernels.{op}._triton")
        case = importlib.import_module(f"implicitly_kernels.{op}.spec").GPU_CASES[name]
        small = {key: min(value, SMALL[key]) if key in SMALL else value for key, value in case.items()}
        want = fast = None
        for variant, changes in {"default": {}, **others}.items():
            row = {"op": op, "case": name, "variant": variant}
            try:
                with patch.dict(vars(module), changes):
                    if dry:
                        row |= compiled(op, small)
                    else:
                        got = ours(op, small, "cuda")()
                        want = got if variant == "default" else want
                        row["error"] = error(got, want)
                        if row["error"] > BOUNDS.get(op, 1e-5):
                            raise ValueError(f"its result is off the default's by {row['error']:.1e}")
                        fast = fast or ours(op, case, "cuda")
                        row |= measure(fast, "cuda")
            except Exception as failure:
                row["failed"] = told(failure)
            yield row


def main():
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="the JSON file")
    parser.add_argument("--dry-run", action="store_true", help="compile each for Hopper, time nothing")
    parser.add_argument("--op", action="append", choices=sorted({op for op, _ in VARIANTS}))
    args = parser.parse_args()
    if not args.dry_run and not torch.cuda.is_available():
        print("no CUDA device on this machine: nothing measured, nothing written")
        return 1
    content = {"device": None if args.dry_run else torch.cuda.get_device_name(), "torch": torch.__version__, "rows": []}
    for row in rows({k: v for k, v in VARIANTS.items() if not args.op or k[0] in args.op}, args.dry_run):
        content["rows"].append(row)
        shown = {k: row[k] for k in ("failed", "median_s", "error", "regs", "spills") if k in row}
        print(f"{row['op']:10} {row['case']:54} {row['variant']:36}", *(f"{k}={v}" for k, v in shown.items()),
              flush=True)
        if args.out:
            args.out.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any("failed" in row for row in content["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
