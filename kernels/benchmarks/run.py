"""Benchmark the kernels on this machine and write kernels/benchmarks/results/<op>--<device>.json.

    python kernels/benchmarks/run.py                    the CPU, every op
    python kernels/benchmarks/run.py --device cuda      the GPU, every op
    python kernels/benchmarks/run.py --op nvfp4 --dry   one op, print only

Each op is first held against its tests (the gate). With a red gate it is timed all the same, marked, and written only
where `--out` says, never among the results of the book. The device's ceilings are measured in the same run, then our
backends and their peers. What is not installed or fails is named, and the rest goes on; the file is written anew after
each row. torch.compile takes up to a minute for each of its entries: `--peers plain` leaves them out, and a later
`--peers compile` adds them to the file.
"""

import argparse
import datetime
import importlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results"
sys.path[:0] = [str(HERE), str(ROOT / "kernels")]  # it runs where nothing of ours is installed
RATES = {"bytes": "copy", "flops": "flop", "ints": "int"}
TAIL = 15  # lines of a red gate that are shown


def gate(op, device):
    """Run the op's tests on this device; True when they pass."""
    wanted = "gpu" if device == "cuda" else "not gpu and not interp and not compile"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", wanted,
               f"tests/kernels/test_{op}.py", "tests/kernels/test_rng.py"]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    lines = (done.stdout.strip() or done.stderr.strip() or "pytest said nothing").splitlines()
    print("\n".join(lines[-1:] if done.returncode == 0 else lines[-TAIL:]), flush=True)
    return done.returncode == 0


def gated(op, report):
    """Whether a run of the tests whose JUnit file is `report` passed this op's, and those of the random numbers."""
    ours = re.compile(rf"\btest_({op}|rng)$")
    cases = [case for case in ElementTree.parse(report).iter("testcase") if ours.search(case.get("classname", ""))]
    ran = [case for case in cases if case.find("skipped") is None]
    red = [case for case in ran if case.find("failure") is not None or case.find("error") is not None]
    if not any(re.search(rf"\btest_{op}$", case.get("classname")) for case in ran):
        print(f"{op}: none of its tests ran in {report}")
        return False
    for case in red:
        told = case.find("failure") if case.find("failure") is not None else case.find("error")
        print(f"{op}: {case.get('name')} failed", *(told.text or "").strip().splitlines()[-TAIL:], sep="\n  ")
    return not red


def floor(cost, ceilings):
    """The longest of bytes over bandwidth, operations over rate: (seconds, which one)."""
    times = {k: cost[k] / ceilings[RATES[k]] for k in cost if cost[k]}
    kind = max(times, key=times.get)
    return times[kind], kind


def commit():
    """The commit that is measured: git's, or where there is no git that of `IMPLICITLY_COMMIT`; None if unknown."""
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        found = done.stdout.strip()
    except OSError:
        found = ""
    return found or os.environ.get("IMPLICITLY_COMMIT") or None


def entries(op, peers, case, device):
    """What is measured of one case; a generator that fails in the middle costs what would have come after."""
    todo = peers.runs(case, device)
    while True:
        try:
            yield next(todo)
        except StopIteration:
            return
        except Exception as error:
            print(f"  {op}: {told(error)}: this entry and any after it are left out", flush=True)
            return


def told(error):
    if isinstance(error, ImportError):
        return f"{error.name} is not installed"
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def bench(op, device, ceilings, facts, args, gate, keep):
    """Measure one op; `keep(row)` is called after each row."""
    import torch
    from timing import load, measure, versions_of

    spec = importlib.import_module(f"implicitly_kernels.{op}.spec")
    peers = importlib.import_module(f"peers.{op}")
    common = facts | {
        "torch": torch.__version__, "triton": versions_of("triton"), "numba": versions_of("numba"),
        "commit": commit(), "date": datetime.date.today().isoformat(), "gate": gate,
    }
    for name, case in (spec.GPU_CASES if device == "cuda" else spec.CASES).items():
        cost = spec.cost(case)
        floor_s, kind = floor(cost, ceilings)
        # Without it a function compiled for one shape is compiled for any at the next: a peer not at its best.
        torch.compiler.reset()
        full = None  # items of the case itself, from our own backend, which comes first
        for backend, peer, fn, items, note in entries(op, peers, case, device):
            full = full or items
            if args.peers != "all" and backend.startswith("compile") != (args.peers == "compile"):
                continue
            try:
                times = measure(fn, device, args.budget)
                note = note() if callable(note) else note
            except Exception as error:
                print(f"  {op}: {name}: {backend} left out: {told(error)}", flush=True)
                continue
            finally:
                if device == "cuda":
                    torch.cuda.empty_cache()
            best = times["median_s"] if device == "cuda" else times["cpu_s"]
            share = floor_s * items / full
            keep({
                "op": op, "case": name, "backend": backend,
                "peer": peer and {"name": peer, "version": versions_of(peer)},
                "shape": case, "dtype": case.get("dtype", "float32"), "item": peers.ITEM,
                "items": items, "note": note,
                **times, "spread": times["q80_s"] / times["q20_s"], "load": load(),
                "items_per_s": items / best, "floor_s": share, "floor_kind": kind,
                "fraction": share / best, **cost, **common,
            })
            print(f"  {name:40} {backend:18} {best:10.4g} s {items / best:12.4g} {peers.ITEM}s/s "
                  f"{share / best:7.1%} of the floor  {note}", flush=True)


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def main():
    from implicitly_kernels._ops import ops

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--op", choices=ops(), action="append")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dry", action="store_true", help="no gate, nothing written")
    parser.add_argument("--budget", type=float, default=6.0, help="seconds an entry")
    parser.add_argument("--peers", choices=("all", "plain", "compile"), default="all",
                        help="plain: nothing that torch.compile makes; compile: only that, added to what is there")
    parser.add_argument("--gated", type=Path, help="JUnit file of a run of the tests, in place of the gate")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result files")
    args = parser.parse_args()
    import ceilings as ceiling
    import torch
    from timing import device_facts

    if args.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device on this machine: nothing measured, nothing written")
        return 1
    torch.set_num_threads(1)
    facts = device_facts(args.device)
    files = {op: args.out / f"{op}--{slug(facts['device'])}.json" for op in args.op or ops()}
    before = {op: json.loads(file.read_text()) for op, file in files.items() if file.exists()}
    if args.peers == "compile" and args.op and all(op in before for op in args.op):
        measured = before[args.op[0]]["ceilings"]
    else:
        measured = ceiling.cuda() if args.device == "cuda" else ceiling.cpu()
    print(facts["device"], {k: f"{v:.4g}" for k, v in measured.items()}, flush=True)
    failed = False
    for op, file in files.items():
        green = args.dry or (gated(op, args.gated) if args.gated else gate(op, args.device))
        failed |= not green
        written = not args.dry and (green or args.out.resolve() != RESULTS)
        if not green:
            print(f"{op}: its tests fail: timed and marked, {'' if written else 'not '}written", flush=True)
        old = before[op]["rows"] if args.peers == "compile" and op in before else []
        content = {"op": op, "kind": args.device, "device": facts["device"], "ceilings": measured, "rows": list(old)}

        def keep(row, content=content, file=file, written=written):
            mine = row["case"], row["backend"]
            content["rows"] = [r for r in content["rows"] if (r["case"], r["backend"]) != mine] + [row]
            if written:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(content, indent=1) + "\n")

        try:
            bench(op, args.device, measured, facts, args, "passed" if green else "failed", keep)
        except Exception as error:
            failed = True
            print(f"{op}: left after {len(content['rows'])} rows: {told(error)}", flush=True)
        if written and content["rows"]:
            print(f"{op}: wrote {file}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
