"""Benchmark the kernels on this machine and write kernels/benchmarks/results/<op>--<device>.json.

    python kernels/benchmarks/run.py                              the CPU, every op, in five minutes
    python kernels/benchmarks/run.py --peers all --minutes 30     what torch.compile makes, too
    python kernels/benchmarks/run.py --device cuda                the GPU, every op, as long as it takes
    python kernels/benchmarks/run.py --op nvfp4 --dry             one op, print only

The ops are first held against their tests, all in one run (the gate; tests that ask something else than whether results
are right here are left out). An op with a red gate is timed all the same, marked, and written only where `--out` says,
never among the results of the book. The device's ceilings are measured in the same run, then our backends and their
peers. What is left of the time is shared out over the cases that remain. What is not installed, fails or has no time
left is named, and the rest goes on; the file is written anew after each row. torch.compile takes up to a minute for
each of its entries: they are measured where they are asked for, by `--peers all`, or by a later `--peers compile`,
which adds them to the file.
"""

import argparse
import datetime
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results"
sys.path[:0] = [str(HERE), str(ROOT / "kernels")]  # it runs where nothing of ours is installed
RATES = {"bytes": "copy", "flops": "flop", "ints": "int"}
TAIL = 15  # lines of a red gate that are shown
MINUTES = 5  # on a CPU
MOST = 6.0  # seconds of repeats of one entry
USED = 0.95  # of the time: the rest is for the call that runs when it is up
# pytest's -k: what asks something else than whether results are right on this device, half of the time of all tests:
# what the tests see, how torch knows the operator, other CPUs' vectors, the peak of memory. "Default" has a fault, too.
WITHOUT = "not _fault and not opcheck and not width_of_vectors and not gigabyte"
LOST = 3  # exit status: the GPU answers no more


class Lost(Exception):
    """Nothing more can be measured in this process."""


class Time:
    """What is left of the time, and how it is shared out over the cases that remain."""

    def __init__(self, minutes):
        self.end = time.monotonic() + 60 * minutes * USED if minutes else float("inf")
        self.cases = 1
        self.own = []  # seconds that our own entries took, so far

    def left(self):
        return self.end - time.monotonic()

    def share(self):
        """The seconds of the case that comes next."""
        share = self.left() / max(self.cases, 1)
        self.cases -= 1
        return share

    def allows(self, ours):
        """Whether an entry may start: a peer's only while our own entries of the cases to come have time."""
        return self.left() > (0 if ours or not self.own else self.cases * sum(self.own) / len(self.own))


def gate(ops, device, report, most):
    """Run the tests of these ops on this device, in one go; their JUnit file is then `report`."""
    wanted = "gpu" if device == "cuda" else "not gpu and not interp and not compile"
    command = [sys.executable, "-m", "pytest", "-q", "-m", wanted, "-k", WITHOUT, "-p", "no:cacheprovider",
               "--tb", "short", "--junitxml", str(report),
               *(f"tests/kernels/test_{name}.py" for name in (*ops, "rng"))]
    if device == "cpu" and importlib.util.find_spec("xdist") and (os.cpu_count() or 1) > 1:
        command += ["-n", str(min(os.cpu_count(), 8)), "--dist", "loadfile"]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=most)
    except subprocess.TimeoutExpired:
        print(f"the tests took longer than {most:.0f} s. What they compiled is kept: run this again, or with more "
              "--minutes", flush=True)
        return
    lines = (done.stdout.strip() or done.stderr.strip() or "pytest said nothing").splitlines()
    print("\n".join(lines[-1:] if done.returncode == 0 else lines[-TAIL:]), flush=True)


def gated(op, report):
    """Whether a run of the tests whose JUnit file is `report` passed this op's, and those of the random numbers."""
    if not report.exists():
        print(f"{op}: no report of its tests")
        return False
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
    found, todo = [], peers.runs(case, device)
    try:
        for entry in todo:
            found.append(entry)
    except Exception as error:
        print(f"  {op}: {told(error)}: this entry and any after it are left out", flush=True)
    return found


def asked(backend, peers):
    """Whether `--peers` asks for an entry of this name."""
    return peers == "all" or backend.startswith("compile") == (peers == "compile")


def told(error):
    if isinstance(error, ImportError):
        return f"{error.name} is not installed"
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def bench(op, device, ceilings, facts, args, clock, gate, keep, rates):
    """Measure one op; `keep(row)` is called after each row. rates: our items a second, by case, where known before."""
    import torch
    from timing import LONG, bare, load, measure, versions_of

    cases = cases_of(op, device)
    spec = importlib.import_module(f"implicitly_kernels.{op}.spec")
    peers = importlib.import_module(f"peers.{op}")
    common = facts | {
        "torch": torch.__version__, "triton": versions_of("triton"), "numba": versions_of("numba"),
        "commit": commit(), "date": datetime.date.today().isoformat(), "gate": gate,
    }
    for name, case in cases.items():
        end = time.monotonic() + clock.share()
        if not clock.allows(True):
            print(f"  {op}: {name} left out: no time is left", flush=True)
            continue
        cost = spec.cost(case)
        floor_s, kind = floor(cost, ceilings)
        if args.peers != "plain":
            # Without it a function compiled for one shape is compiled for any at the next: a peer not at its best.
            torch.compiler.reset()
        found = entries(op, peers, case, device)
        full = found[0][3] if found else None  # items of the case itself, from our own backend, which comes first
        todo = [entry for entry in found if asked(entry[0], args.peers)]
        own = rates.get(name)
        for i, (backend, peer, fn, items, note) in enumerate(todo):
            if not clock.allows(peer is None):
                print(f"  {op}: {name}: {backend} left out: no time is left", flush=True)
                continue
            # On a CPU a peer that takes long is timed once, after its first call; our own backend three times.
            began = time.monotonic()
            budget = min(MOST, (end - began) / (len(todo) - i))
            try:
                times = measure(fn, device, budget, at_least=3 if peer is None else 1)
                best = times["median_s"] if device == "cuda" else times["cpu_s"]
                # A call that takes long spends next to nothing of it outside of its backend.
                inside = bare(fn) if peer is None and best < LONG else None
                within = measure(inside, device, budget / 4) if inside else None
                note = note() if callable(note) else note
            except Exception as error:
                print(f"  {op}: {name}: {backend} left out: {told(error)}", flush=True)
                if device == "cuda":
                    still_there(error)
                continue
            finally:
                fn = inside = None
                if device == "cuda":
                    torch.cuda.empty_cache()
            if peer is None:
                clock.own.append(time.monotonic() - began)
            rate, share = items / best, floor_s * items / full
            own = own or (rate if peer is None else None)
            keep({
                "op": op, "case": name, "backend": backend,
                "peer": peer and {"name": peer, "version": versions_of(peer)},
                "shape": case, "dtype": case.get("dtype", "float32"), "item": peers.ITEM,
                "items": items, "note": note,
                **times, "kernel_s": within and within["median_s" if device == "cuda" else "cpu_s"],
                "spread": times["q80_s"] / times["q20_s"] if times["repeats"] > 2 else None, "load": load(),
                "items_per_s": rate, "floor_s": share, "floor_kind": "latency" if case.get("latency") else kind,
                "fraction": share / best, **cost, **common,
            })
            against = "" if peer is None or own is None else f"{own / rate:9.3g} times ours"
            print(f"  {name:40} {backend:18} {best:10.4g} s {rate:12.4g} {peers.ITEM}s/s "
                  f"{share / best:7.1%} of the floor {against:19} {note}", flush=True)


def still_there(error):
    """Nothing when a failure left the GPU as it was; else Lost, since each later call would fail in its turn."""
    import torch

    try:
        torch.cuda.synchronize()
    except Exception:
        raise Lost("the GPU answers no more") from error


def cases_of(op, device):
    spec = importlib.import_module(f"implicitly_kernels.{op}.spec")
    return spec.GPU_CASES if device == "cuda" else spec.CASES


def written(file, content):
    """Write the file as a whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(file)


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def main():
    from implicitly_kernels._ops import ops

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--op", choices=ops(), action="append")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dry", action="store_true", help="no gate, nothing written")
    parser.add_argument("--minutes", type=float,
                        help=f"for all of it, the gate included: {MINUTES} on a CPU, no limit on a GPU; 0: no limit")
    parser.add_argument("--peers", choices=("all", "plain", "compile"), default="plain",
                        help="plain: nothing that torch.compile makes; compile: only that, added to what is there")
    parser.add_argument("--gated", type=Path, help="JUnit file of a run of the tests, in place of the gate")
    parser.add_argument("--ceilings", type=Path, help="JSON file of the ceilings: written, or read where it is there")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result files")
    args = parser.parse_args()
    if args.minutes is not None and not args.minutes >= 0:
        parser.error(f"--minutes: expected a number >= 0, got {args.minutes}")
    clock = Time(args.minutes if args.minutes is not None else MINUTES * (args.device == "cpu"))
    import torch
    from timing import device_facts

    if args.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device on this machine: nothing measured, nothing written")
        return 1
    torch.set_num_threads(1)
    facts = device_facts(args.device)
    wanted = list(dict.fromkeys(args.op or ops()))
    files = {op: args.out / f"{op}--{slug(facts['device'])}.json" for op in wanted}
    before = {op: json.loads(file.read_text()) for op, file in files.items() if file.exists()}
    adding = args.peers == "compile"
    if args.peers == "plain":
        print("torch.compile is left out: --peers all measures it, too", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = args.gated or Path(folder) / "gate.xml"
        if not args.dry and not args.gated:
            gate(wanted, args.device, report, None if clock.left() == float("inf") else clock.left() / 2)
        green = {op: args.dry or gated(op, report) for op in wanted}
    failed = not all(green.values())
    measured = None
    for i, (op, file) in enumerate(files.items()):
        clock.cases = sum(len(cases_of(later, args.device)) for later in wanted[i:])
        kept = not args.dry and (green[op] or args.out.resolve() != RESULTS)
        if not green[op]:
            print(f"{op}: its tests did not pass: timed and marked, {'' if kept else 'not '}written", flush=True)
        # What is added to a file is held against the ceilings of that file.
        old = before.get(op, {"rows": []})
        top = old["ceilings"] if adding and op in before else (measured := measured or ceilings_of(args))
        print(op, facts["device"], {k: f"{v:.4g}" for k, v in top.items()}, flush=True)
        content = {"op": op, "kind": args.device, "device": facts["device"], "ceilings": top,
                   "rows": [row for row in old["rows"] if row["case"] in cases_of(op, args.device)]}

        def keep(row, content=content, file=file, kept=kept):
            mine = row["case"], row["backend"]
            content["rows"] = [r for r in content["rows"] if (r["case"], r["backend"]) != mine] + [row]
            if kept:
                written(file, content)

        try:
            bench(op, args.device, top, facts, args, clock, "passed" if green[op] else "failed", keep,
                  {row["case"]: row["items_per_s"] for row in reversed(content["rows"]) if adding and not row["peer"]})
        except Lost as error:
            print(f"{op}: left after {len(content['rows'])} rows, and all ops after it: {error}", flush=True)
            return LOST
        except Exception as error:
            failed = True
            print(f"{op}: left after {len(content['rows'])} rows: {told(error)}", flush=True)
        if kept and content["rows"]:
            print(f"{op}: wrote {file}", flush=True)
    return 1 if failed else 0


def ceilings_of(args):
    """The ceilings of this device: those of the file that `--ceilings` names, measured first where it is not there."""
    import ceilings

    if args.ceilings and args.ceilings.exists():
        return json.loads(args.ceilings.read_text())
    measured = ceilings.cuda() if args.device == "cuda" else ceilings.cpu()
    if args.ceilings:
        written(args.ceilings, measured)
    return measured


if __name__ == "__main__":
    sys.exit(main())
