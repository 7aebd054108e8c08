"""Run the tests under the arithmetic of other CPUs: what is green here only by the luck of a last bit shows.

    python book/_tools/cpus.py                           six arithmetics, every suite (an hour or two)
    python book/_tools/cpus.py --probe                   only show in which bits the arithmetics differ
    python book/_tools/cpus.py -a sse -a threads -s lib  these arithmetics, this suite
    python book/_tools/cpus.py -s lib -k flows           only the tests that pytest's -k finds
    python book/_tools/cpus.py -a aten -a mkl -s lib     one choice at a time: which one a difference comes from

torch, MKL, OpenBLAS, NumPy and Numba each choose their machine code by the CPU, and each can be told to choose
that of another one. An arithmetic is a set of such choices. A probe first shows that each choice is in force and
which bits it changes; one that changes none on this CPU is left out, and one that this CPU cannot run as well.
The table at the end counts tests; below it stand the checks that have little room left and whose value varies.
"""

import argparse
import functools
import hashlib
import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

from paths import ROOT, execution_environment

OUT = ROOT / "_build" / "cpus"
TOOLS = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
#: What says which machine code to run; none of these is inherited from the shell.
CHOICES = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "NUMBA_CPU_NAME",
           "NUMBA_CPU_FEATURES", "ONEDNN_MAX_CPU_ISA")  # fmt: skip

OLD = {"aten": {"ATEN_CPU_CAPABILITY": "default"}, "mkl": {"MKL_CBWR": "COMPATIBLE"},
       "openblas": {"OPENBLAS_CORETYPE": "Nehalem"}, "numpy": {"NPY_DISABLE_CPU_FEATURES": "{numpy}"},
       "numba": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}}  # fmt: skip
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "OPENBLAS_CORETYPE": "Haswell",
        "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}  # fmt: skip
AVX512 = {"ATEN_CPU_CAPABILITY": "avx512", "MKL_CBWR": "AVX512", "OPENBLAS_CORETYPE": "SkylakeX",
          "NUMBA_CPU_NAME": "skylake-avx512",
          "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx512cd"}  # fmt: skip
#: name: (what it chooses, threads, the CPU feature that it needs)
ARITHMETICS = {
    "native": ({}, 1, None),
    "threads": ({}, 2, None),
    "sse": (functools.reduce(dict.__or__, OLD.values()), 1, None),
    "sse-threads": (functools.reduce(dict.__or__, OLD.values()), 2, None),
    "avx2": (AVX2, 1, "avx2"),
    "avx512": (AVX512, 1, "avx512bw"),
    **{name: (choice, 1, None) for name, choice in OLD.items()},
}
#: Tests of `lib` whose outcome no rounding decides: what is refused, packed, drawn, written and printed.
OF_ONE_KIND = ("docstrings", "every_call", "explorer", "explorer_js", "explorer_kernel", "explorer_live",
               "explorer_page", "explorer_page_controls", "explorer_page_questions", "explorer_page_readers",
               "explorer_refuses", "explorer_shown", "explorer_table", "main", "prose", "sweeps")  # fmt: skip
SUITES = {
    "claims": ["tests/chapters"],
    "lib": ["tests/lib", *(f"--ignore=tests/lib/test_{name}.py" for name in OF_ONE_KIND)],
    "kernels": ["tests/kernels", "-m", "not interp", "--ignore", "tests/kernels/test_compile.py"],
    "notebooks": ["--nbval", "chapters", "--nbval-sanitize-with", "tests/nbval.cfg"],
}  # fmt: skip
#: What runs if none is named: those that choose all at once.
SIX = [name for name in ARITHMETICS if name not in OLD]
LITTLE = 0.5  # share of a tolerance that a check may use before it is listed, if its value varies


def environment(name: str) -> dict[str, str]:
    """The environment of one arithmetic; notebooks' kernels and tests inherit it."""
    choice, threads, _ = ARITHMETICS[name]
    found = {key: value for key, value in execution_environment().items() if key not in CHOICES}
    found |= {variable: str(threads) for variable in THREADS}
    found["OMP_WAIT_POLICY"] = "passive"  # two processes share two cores: threads that spin take them from each other
    found |= {key: value.format(numpy=numpy_features()) for key, value in choice.items() if value}
    # Compiled code of one CPU must not be found by another, nor asserts rewritten without their values.
    return found | {"NUMBA_CACHE_DIR": str(OUT / name / "numba"), "PYTHONPYCACHEPREFIX": str(OUT / "pycache")}


@functools.cache
def numpy_features() -> str:
    """All features of this CPU for which NumPy has code beside its baseline."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(feature for feature in __cpu_dispatch__ if __cpu_features__[feature])


@functools.cache
def cpu_features() -> frozenset[str]:
    from llvmlite import binding

    return frozenset(name for name, there in binding.get_host_cpu_features().items() if there)


def probe() -> dict:
    """What is in force in this process, and hashes of results; run in a process of its own."""
    import numba
    import numpy as np
    import scipy.linalg
    import torch
    from numpy._core import _multiarray_umath as features
    from threadpoolctl import threadpool_info

    rng = np.random.default_rng(0)
    a, x = rng.standard_normal((300, 300)), rng.standard_normal(100_000)

    @numba.njit(fastmath=True)
    def dot(x, y):
        total = 0.0
        for i in range(len(x)):
            total += x[i] * y[i]
        return total

    def bits(*results):
        return hashlib.sha256(b"".join(np.asarray(result).tobytes() for result in results)).hexdigest()[:8]

    t, b = torch.from_numpy(x), torch.from_numpy(a)
    blas = [info for info in threadpool_info() if info["internal_api"] == "openblas"]
    return {
        "in force": {
            "aten": torch.backends.cpu.get_cpu_capability(),
            "openblas": sorted({info["architecture"] for info in blas}),
            "numpy": [f for f in features.__cpu_dispatch__ if features.__cpu_features__[f]],
            "numba": numba.config.CPU_NAME or "host",
            "threads": [torch.get_num_threads(), *sorted({info["num_threads"] for info in blas})],
        },
        "bits": {
            "aten": bits(t.sigmoid(), t.abs() ** 0.3, t.float().abs().log1p(), t.float().softmax(0), t.sum()),
            "mkl": bits(b @ b, torch.linalg.solve(b, b[0]), b.float() @ b.float(), torch.linalg.svdvals(b)),
            "openblas": bits(a @ a, np.linalg.solve(a, a[0]), scipy.linalg.svdvals(a)),
            "numpy": bits(np.exp(x.astype(np.float32)), np.sin(x), np.tanh(x), x.sum(), x.astype(np.float32).var()),
            "numba": bits(dot(x, x[::-1].copy())),
        },
    }


def wanted(name: str) -> dict:
    """What `probe` must find in force under an arithmetic, as far as a library says so."""
    choice, threads, _ = ARITHMETICS[name]
    found: dict = {"threads": [threads, threads]}
    if "ATEN_CPU_CAPABILITY" in choice:
        found["aten"] = choice["ATEN_CPU_CAPABILITY"].upper()
    if "OPENBLAS_CORETYPE" in choice:
        found["openblas"] = [choice["OPENBLAS_CORETYPE"]]
    if "NPY_DISABLE_CPU_FEATURES" in choice:
        found["numpy"] = []
    if "NUMBA_CPU_NAME" in choice:
        found["numba"] = choice["NUMBA_CPU_NAME"]
    return found


def probed(names: list[str]) -> list[str]:
    """Those of `names` that differ from each other on this CPU; raises where a choice is not in force."""
    kept: dict[str, dict] = {}
    print("bits of          " + "".join(f"{part:10s}" for part in ("aten", "mkl", "openblas", "numpy", "numba")))
    for name in names:
        _, threads, feature = ARITHMETICS[name]
        if feature and feature not in cpu_features():
            print(f"{name:12s} left out: this CPU has no {feature}")
            continue
        command = [sys.executable, __file__, "--print-probe"]
        said = subprocess.run(command, env=environment(name), capture_output=True, text=True)
        if said.returncode:
            raise RuntimeError(f"{name}: the probe failed ({said.returncode})\n{said.stderr}")
        found = json.loads(said.stdout)
        for part, value in wanted(name).items():
            if found["in force"][part] != value:
                raise RuntimeError(f"{name}: {part} must be {value}, found {found['in force'][part]}")
        bits = found["bits"]
        twin = next((k for k in kept if kept[k] == bits and ARITHMETICS[k][1] == threads), None)
        print(f"{name:12s} {'=' if twin else ' '}   " + "".join(f"{value:10s}" for value in bits.values())
              + (f"left out: {twin}'s bits" if twin else ""), flush=True)  # fmt: skip
        if not twin:
            kept[name] = bits
    return list(kept)


def run(name: str, suite: str, options) -> dict:
    """One suite under one arithmetic: counts, seconds, failures, and how much of its tolerance each check used."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    report, room, log = (folder / f"{suite}.{kind}" for kind in ("xml", "jsonl", "log"))
    room.unlink(missing_ok=True)
    report.unlink(missing_ok=True)
    arguments = list(SUITES[suite])
    if options.k:
        arguments = [f"({value}) and ({options.k})" if before == "-k" else value
                     for before, value in zip([None, *arguments], arguments, strict=False)]  # fmt: skip
        arguments += [] if "-k" in arguments else ["-k", options.k]
    command = [sys.executable, "-m", "pytest", *arguments, "-q", "-p", "no:cacheprovider", "--tb", "short",
               "-n", str(options.n), "--dist", "loadfile", "-o", "enable_assertion_pass_hook=true",
               "--room", str(room), "--junitxml", str(report)]  # fmt: skip
    env = environment(name)
    if suite != "notebooks":  # some tests look at what the network does
        env["PYTHONPATH"] = ""
    start = time.perf_counter()
    with log.open("w") as file:
        status = subprocess.run(command, cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT).returncode
    found: dict = {"seconds": time.perf_counter() - start, "status": status, "failed": [], "passed": 0, "log": log}
    for case in ET.parse(report).iter("testcase") if report.exists() else ():
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            found["failed"].append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" not in kinds:
            found["passed"] += 1
    lines = room.read_text().splitlines() if room.exists() else ()
    found["room"] = {(suite, *map(str, where)): used for *where, used in map(json.loads, lines)}
    return found


def little_room(results: dict) -> list[str]:
    """Checks that used more than `LITTLE` of their tolerance somewhere, and not the same share everywhere."""
    shares = defaultdict(dict)
    for (name, _), result in results.items():
        for where, used in result["room"].items():
            shares[where][name] = used
    lines = []
    for where, used in shares.items():
        low, high = min(used.values()), max(used.values())
        if high > LITTLE and high - low > 1e-3 * high:
            worst = max(used, key=used.get)
            lines.append((high, f"{high:6.2f} {low:6.2f}  {worst:12s} {' '.join(where)}"))
    return [line for _, line in sorted(lines, reverse=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-a", "--arithmetic", action="append", choices=ARITHMETICS,
                        help=f"run this one; again for more ({' '.join(SIX)})")  # fmt: skip
    parser.add_argument("-s", "--suite", action="append", choices=SUITES, help="run this one; again for more")
    parser.add_argument("-k", metavar="EXPRESSION", help="only tests that pytest's -k finds")
    parser.add_argument("-n", type=int, default=2, help="processes at a time (2)")
    parser.add_argument("--probe", action="store_true", help="only show in which bits the arithmetics differ")
    parser.add_argument("--print-probe", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.print_probe:
        print(json.dumps(probe()))
        return 0
    names = probed(options.arithmetic or SIX)
    if options.probe:
        return 0
    suites, results = options.suite or list(SUITES), {}
    for name in names:
        for suite in suites:
            result = results[name, suite] = run(name, suite, options)
            print(f"{name:12s} {suite:10s} {result['passed']:5d} passed {len(result['failed']):3d} failed "
                  f"{result['seconds']:6.0f} s", flush=True)  # fmt: skip
    print("\npassed/failed, seconds\n" + " " * 13 + "".join(f"{suite:>18s}" for suite in suites))
    for name in names:
        cells = [results[name, suite] for suite in suites]
        print(f"{name:13s}" + "".join(
            f"{r['passed']:6d}/{len(r['failed']):d} {r['seconds']:6.0f} s".rjust(18) for r in cells))  # fmt: skip
    lines = little_room(results)
    print(f"\nmore than {LITTLE} of the tolerance used, and the value varies: {len(lines) or 'none'}")
    if lines:
        print("\n".join(["  most  least  most under   check", *lines]))
    red = False
    for (name, suite), result in results.items():
        # 5: no test was found, as with -k
        if result["failed"] or result["status"] not in ((0, 5) if options.k else (0,)):
            red = True
            print(f"\n{name} {suite}: pytest's status {result['status']}, see {result['log']}", *result["failed"],
                  sep="\n  ")  # fmt: skip
            if name.startswith("sse"):
                print(f"which choice it is: -s {suite} " + " ".join(f"-a {choice}" for choice in OLD))
    return red


if __name__ == "__main__":
    sys.exit(main())
