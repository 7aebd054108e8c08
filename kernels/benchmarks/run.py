"""Benchmark the kernels on this machine and write kernels/benchmarks/results/<op>--<device>.json.

    python kernels/benchmarks/run.py                    the CPU, every op
    python kernels/benchmarks/run.py --device cuda      the GPU, every op
    python kernels/benchmarks/run.py --op nvfp4 --dry   one op, print only

Each op is first held against its tests (the gate): a timing with a red gate is not written. Then the
device's ceilings are measured, then our backends and their peers in the same run. A peer that is not
installed is named and left out. torch.compile takes up to a minute for each of its entries.
"""

import argparse
import datetime
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
RATES = {"bytes": "copy", "flops": "flop", "ints": "int"}


def gate(op, device):
    """Run the op's tests on this device; True when they pass."""
    wanted = "gpu" if device == "cuda" else "not gpu and not interp and not compile"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", wanted,
               f"tests/kernels/test_{op}.py", "tests/kernels/test_rng.py"]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    print(done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-2000:])
    return done.returncode == 0


def floor(cost, ceilings):
    """The longest of bytes over bandwidth, operations over rate: (seconds, which one)."""
    times = {k: cost[k] / ceilings[RATES[k]] for k in cost if cost[k]}
    kind = max(times, key=times.get)
    return times[kind], kind


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True,
                          text=True)
    return done.stdout.strip() or None


def bench(op, device, ceilings, facts, budget_s):
    """All rows of one op."""
    import torch
    from timing import load, measure, versions_of

    spec = importlib.import_module(f"implicitly_kernels.{op}.spec")
    peers = importlib.import_module(f"peers.{op}")
    common = facts | {
        "torch": torch.__version__, "triton": versions_of("triton"), "numba": versions_of("numba"),
        "commit": commit(), "date": datetime.date.today().isoformat(), "gate": "passed",
    }
    rows = []
    for name, case in (spec.GPU_CASES if device == "cuda" else spec.CASES).items():
        cost = spec.cost(case)
        floor_s, kind = floor(cost, ceilings)
        todo = peers.runs(case, device)
        full = None  # items of the case itself, from our own backend, which comes first
        while True:
            try:
                backend, peer, fn, items, note = next(todo)
            except StopIteration:
                break
            except ImportError as missing:  # a generator ends at what it raises
                print(f"  {op}: {missing.name} is not installed: this peer and any after it are left out")
                break
            full = full or items
            times = measure(fn, device, budget_s)
            best = times["median_s"] if device == "cuda" else times["cpu_s"]
            rows.append({
                "op": op, "case": name, "backend": backend,
                "peer": peer and {"name": peer, "version": versions_of(peer)},
                "shape": case, "dtype": case.get("dtype", "float32"), "item": peers.ITEM,
                "items": items, "note": note,
                **times, "spread": times["q80_s"] / times["q20_s"], "load": load(),
                "items_per_s": items / best, "floor_s": floor_s * items / full, "floor_kind": kind,
                "fraction": floor_s * items / full / best, **cost, **common,
            })
            row = rows[-1]
            print(f"  {name:40} {backend:18} {best:10.4g} s {row['items_per_s']:12.4g} {peers.ITEM}s/s "
                  f"{row['fraction']:7.1%} of the floor  {note}", flush=True)
    return rows


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def main():
    from implicitly_kernels._ops import ops

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--op", choices=ops(), action="append")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dry", action="store_true", help="no gate, nothing written")
    parser.add_argument("--budget", type=float, default=6.0, help="seconds an entry")
    args = parser.parse_args()
    import ceilings as ceiling
    import torch
    from timing import device_facts

    if args.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device on this machine: nothing measured, nothing written")
        return 1
    torch.set_num_threads(1)
    measured = ceiling.cuda() if args.device == "cuda" else ceiling.cpu()
    facts = device_facts(args.device)
    print(facts["device"], {k: f"{v:.4g}" for k, v in measured.items()})
    failed = False
    for op in args.op or ops():
        if not args.dry and not gate(op, args.device):
            print(f"{op}: its tests fail: not timed")
            failed = True
            continue
        rows = bench(op, args.device, measured, facts, args.budget)
        if not args.dry:
            file = HERE / "results" / f"{op}--{slug(facts['device'])}.json"
            file.parent.mkdir(exist_ok=True)
            content = {"op": op, "kind": args.device, "device": facts["device"],
                       "ceilings": measured, "rows": rows}
            file.write_text(json.dumps(content, indent=1) + "\n")
            print(f"{op}: wrote {file.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
