"""Compile every Triton kernel for sm_80, sm_90 and sm_100 and hold it against kernels/resources.json.

    python kernels/benchmarks/resources.py           print, and say what is over budget or has changed
    python kernels/benchmarks/resources.py --write   record what this Triton makes (budgets are kept)
    python kernels/benchmarks/resources.py --arch 90 the same for one of them, in a third of the time

Needs no GPU. IMPLICITLY_TRITON names a directory that holds another Triton (`pip install --target`),
which then compiles instead: `IMPLICITLY_TRITON=/somewhere python kernels/benchmarks/resources.py`.
A change in resources.json is reviewed like a change in code.
"""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "resources.json"
DEFAULT = {"regs": 128, "stack": 0, "spills": 0, "shared": 102400}


def specs():
    """Every KernelSpec of every op."""
    from implicitly_kernels._ops import ops

    for op in ops():
        yield from importlib.import_module(f"implicitly_kernels.{op}.spec").KERNELS


def measure(only=None):
    """{"sm_90": {kernel: usage}} for the Triton that is imported here, and its version."""
    import triton

    from implicitly_kernels._compile import ARCHS, compile_kernel

    archs = ARCHS if only is None else [only]
    used = {f"sm_{arch}": {spec.name: compile_kernel(spec, arch) for spec in specs()} for arch in archs}
    return triton.__version__, used


def problems(version, used, recorded):
    """Sentences: kernels over budget, without a budget, or different from what is recorded."""
    from implicitly_kernels._compile import over_budget

    said = []
    for arch, kernels in used.items():
        for spec in specs():
            budget = recorded["budget"].get(spec.name)
            if budget is None:
                said.append(f"{spec.name}: has no budget in resources.json")
                continue
            said += [f"{arch}: {line}" for line in over_budget(spec, kernels[spec.name], budget)]
            before = recorded["measured"].get(version, {}).get(arch, {}).get(spec.name)
            if version in recorded["measured"] and before != kernels[spec.name]:
                said.append(
                    f"{arch}: {spec.name}: recorded {before}, now {kernels[spec.name]}; "
                    "if this is meant, run resources.py --write"
                )
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--arch", type=int, choices=(80, 90, 100))
    args = parser.parse_args()
    if args.write and args.arch:
        parser.error("--write records all three: leave --arch out")
    if os.environ.get("IMPLICITLY_TRITON"):
        sys.path.insert(0, os.environ["IMPLICITLY_TRITON"])
    version, used = measure(args.arch)
    recorded = json.loads(FILE.read_text()) if FILE.exists() else {"budget": {}, "measured": {}}
    if args.write:
        names = [spec.name for spec in specs()]
        recorded["measured"] = {
            v: r for v, r in recorded["measured"].items() if set(r["sm_90"]) == set(names)
        }
        recorded["budget"] = {n: recorded["budget"].get(n, DEFAULT) for n in names}
        recorded["measured"][version] = used
        FILE.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    said = problems(version, used, recorded)
    for arch, kernels in used.items():
        for name, row in kernels.items():
            print(f"triton {version} {arch} {name:24}", " ".join(f"{k}={v}" for k, v in row.items()))
    print("\n".join(said) or f"triton {version}: {len(list(specs()))} kernels within budget on {', '.join(used)}")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
