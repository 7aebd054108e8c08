"""Plant small faults in the library and the kernels, one at a time, and list those that no test notices.

    python book/_tools/mutants.py --minutes 30                          this week's lines of all modules
    python book/_tools/mutants.py --minutes 30 --only margins/limits    modules whose path holds these words
    python book/_tools/mutants.py --minutes 30 --quick                  without the tests of chapters

cosmic-ray says where a fault can be planted and writes it; it changes text, so that what numba compiles is changed, too
(mutmut wraps functions, and numba cannot compile its wrappers). A line gets one fault a week, drawn by (week, module,
line). Each line belongs to one week of `CYCLE`: a run starts with those of this week, and goes on to the next week's
while there is time. A module is tried with the tests of its subject, and what these miss with the tests of the chapters
that reach it. All happens in a copy; a run that is stopped goes on where it was. Left out: drawings, Triton kernels,
whose interpreter takes minutes a test, what a spec declares, and lines whose faults are equivalent
(`tests/equivalent_mutants.yml`).
"""

import argparse
import ast
import datetime
import difflib
import functools
import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CYCLE = 26  # weeks in which every line comes first once
LEFT_OUT = re.compile(r"/figures/|/(__init__|__main__|spec|_triton|_rng_triton|_compile|_fingerprint)\.py$")
#: Tests of modules that are no subject's and have no test of their name.
PAIRS = {
    "lib/implicitly/_validate.py": ["tests/lib/test_every_call.py"],
    "lib/implicitly/_stored.py": ["tests/lib/low_precision/test_stored_digits.py"],
    "lib/implicitly/_plot_checks.py": ["tests/lib/test_plotting.py"],
    "lib/implicitly/data.py": ["tests/lib/test_every_call.py"],
    "lib/implicitly/explorer": [f"tests/lib/test_explorer{name}.py"
                                for name in ("", "_refuses", "_table", "_shown", "_kernel", "_computes")],
    "kernels/implicitly_kernels/_rng_numba.py": ["tests/kernels/test_rng.py"],
    "kernels/implicitly_kernels/_philox_numba.py": ["tests/kernels/test_rng.py"],
    "kernels/implicitly_kernels/_ops.py": ["tests/kernels/test_ops.py", "tests/kernels/test_dispatch.py"],
}
OPERATORS = ["ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd", "AddNot",
             "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop", "NumberReplacer",
             "ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not"]  # fmt: skip
#: Operators change into others of their group: a shift of a float only raises.
GROUPS = [("BinaryOperator", "Add Sub Mul Div"), ("BinaryOperator", "FloorDiv Mod"), ("BinaryOperator", "Pow Mul"),
          ("BinaryOperator", "BitOr BitAnd BitXor"), ("BinaryOperator", "RShift LShift"),
          ("ComparisonOperator", "Lt LtE Gt GtE"), ("ComparisonOperator", "Eq NotEq"),
          ("ComparisonOperator", "Is IsNot")]  # fmt: skip
PRELOAD = ["torch", "numba", "scipy.optimize", "scipy.stats", "pandas", "matplotlib.pyplot", "sklearn", "pytest",
           "hypothesis", "torch.fx.experimental.proxy_tensor", "torch.distributed", "_pytest.python"]  # fmt: skip


def operators() -> dict:
    """name: an operator of cosmic-ray."""
    from cosmic_ray.plugins import get_operator, operator_names

    wanted = {f"core/{name}" for name in OPERATORS}
    for kind, group in GROUPS:
        wanted |= {f"core/Replace{kind}_{a}_{b}" for a in group.split() for b in group.split()}
    return {name: get_operator(name)() for name in sorted(wanted & set(operator_names()))}


def annotated(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations begin and end (line, column): their `|` computes nothing."""
    spans = []
    for node in ast.walk(ast.parse(source)):
        for note in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(note, ast.expr):
                end = note.end_lineno or note.lineno, note.end_col_offset or note.col_offset
                spans.append(((note.lineno, note.col_offset), end))
    return spans


def is_star(node) -> bool:
    """Whether a node of parso is a `*`, `/` or `**` of parameters or arguments: to cosmic-ray it is arithmetic."""
    return getattr(node, "value", None) in ("*", "/", "**") and node.parent.type not in ("term", "power")


def mutants(source: str) -> list[tuple[int, str, int]]:
    """All faults of a text: the line, the operator's name, the how-manieth place of that operator it is."""
    from cosmic_ray.ast import ast_nodes, get_ast

    tree, spans, found = get_ast(source), annotated(source), []
    nodes = list(ast_nodes(tree))
    for name, operator in operators().items():
        places = [(node, start) for node in nodes for start, _ in operator.mutation_positions(node)]
        found += [(start[0], name, n) for n, (node, start) in enumerate(places)
                  if not (is_star(node) or any(first <= tuple(start) < last for first, last in spans))]  # fmt: skip
    return sorted(found)


def planted(source: str, name: str, occurrence: int) -> str:
    from cosmic_ray.mutating import mutate_code

    return mutate_code(source, operators()[name], occurrence)


def change(source: str, faulty: str) -> tuple[str, str]:
    """The lines that differ, before and after."""
    lines = list(difflib.ndiff(source.splitlines(), faulty.splitlines()))
    return tuple(" ".join(line[2:].strip() for line in lines if line.startswith(sign)) for sign in ("- ", "+ "))


def modules(root: Path, only: str = "") -> list[str]:
    found = [path.relative_to(root).as_posix() for folder in ("lib/implicitly", "kernels/implicitly_kernels")
             for path in sorted((root / folder).rglob("*.py"))]  # fmt: skip
    return [path for path in found if not LEFT_OUT.search(path) and any(word in path for word in only.split() or [""])]


def tests_of(root: Path, path: str) -> list[str]:
    """Tests that are to notice faults of a module: those of its subject, that which names most of it first."""
    parent, stem = Path(path).parent, Path(path).stem
    source = (root / path).read_text(encoding="utf-8")
    if paired := PAIRS.get(path) or PAIRS.get(parent.as_posix()):
        found = paired
    else:
        lane = "lib" if path.startswith("lib/") else "kernels"
        folder = root / "tests" / lane
        names = [stem.strip("_")] if parent.name in ("implicitly", "implicitly_kernels") else [parent.name]
        files = [*(folder / names[0]).glob("test_*.py")] or [
            file for name in (names[0], f"{names[0]}_*") for file in folder.glob(f"test_{name}.py")]
        if not files and lane == "kernels":
            files = [folder / "test_pieces.py"]
        public = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        known = {file: file.read_text(encoding="utf-8") for file in files if file.is_file()}
        order = sorted(known, key=lambda file: (-sum(f"{name}(" in known[file] for name in public), file))
        found = [file.relative_to(root).as_posix() for file in order]
    examples = "tests/lib/test_docstrings.py"
    if ">>>" in source and (root / examples).is_file():
        module = ".".join(Path(path).with_suffix("").parts[1:])
        found = [f"{examples}::test_examples[{module}]", *found]
    return found


@functools.cache
def chapters_of(root: Path, path: str) -> list[str]:
    """Tests of the claims of the chapters whose cells reach a module."""
    from reach import reached

    return [test for source in sorted((root / "chapters").glob("*.md"))
            if (root / (test := f"tests/chapters/test_{source.stem.replace('-', '_')}_claims.py")).is_file()
            and root / path in reached(source, root).files]  # fmt: skip


def run_tests(tree: str, tests: list[str], log: str) -> None:
    """In a process of its own, in which torch is loaded and nothing of ours is."""
    os.setsid()
    os.chdir(tree)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.path[:] = [f"{tree}/lib", f"{tree}/kernels", *(p for p in sys.path if not p.startswith(f"{ROOT}/book"))]
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{ROOT}/book") and name != "__mp_main__":
            del sys.modules[name]
    import pytest

    code = pytest.main(["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-m", "not browser", *tests])
    sys.stdout.flush()
    os._exit(int(code))


class Trial:
    """A copy of the project, in which tests run with a fault or without."""

    def __init__(self, root: Path, out: Path):
        self.root, self.out, self.tree = root, out, out / "tree"
        shutil.rmtree(self.tree, ignore_errors=True)
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                capture_output=True, text=True)  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (root / name).is_file():
                (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, self.tree / name)
        os.environ |= {"PYTHONPATH": f"{self.tree}/lib:{self.tree}/kernels", "PYTHONDONTWRITEBYTECODE": "1",
                       "MPLBACKEND": "agg"}  # fmt: skip
        os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOAD)
        self.usual: dict[tuple[str, ...], float] = {}

    def run(self, tests: list[str], limit: float | None = None) -> tuple[str, float]:
        """What pytest says (`passed`, `failed`, `none`: no test was found, `time`) and the seconds it took."""
        start = time.monotonic()
        process = self.context.Process(target=run_tests, args=(str(self.tree), tests, str(self.out / "log")))
        process.start()
        process.join(limit)
        verdict = "time" if process.is_alive() else {0: "passed", 5: "none"}.get(process.exitcode, "failed")
        try:
            os.killpg(process.pid, signal.SIGKILL)  # what the tests have started, too
        except (ProcessLookupError, PermissionError):
            process.kill()
        process.join()
        return verdict, time.monotonic() - start

    def sound(self, tests: list[str]) -> bool:
        """Whether the tests pass without a fault."""
        if tuple(tests) not in self.usual:
            verdict, seconds = self.run(tests) if tests else ("none", 0.0)
            self.usual[tuple(tests)] = seconds if verdict == "passed" else -1.0
        return self.usual[tuple(tests)] >= 0

    def notices(self, path: str, faulty: str, tests: list[str]) -> str:
        """The verdict on a fault in a file, which is then as it was."""
        before = (self.tree / path).read_text(encoding="utf-8")
        # numba does not see that a function which a compiled one calls has changed in another file.
        shutil.rmtree(self.out / "numba", ignore_errors=True)
        try:
            (self.tree / path).write_text(faulty, encoding="utf-8")
            return self.run(tests, 60 + 5 * self.usual[tuple(tests)])[0]
        finally:
            (self.tree / path).write_text(before, encoding="utf-8")


def due(root: Path, only: str, week: int) -> list[tuple[int, str, int, list[tuple[str, int]]]]:
    """Lines in the order of trial: weeks until it is due, module, line, its faults in the order drawn for this week."""
    found = []
    for path in modules(root, only):
        lines: dict[int, list] = {}
        for line, name, occurrence in mutants((root / path).read_text(encoding="utf-8")):
            lines.setdefault(line, []).append((name, occurrence))
        for line, faults in lines.items():
            random.Random(f"{week} {path} {line}").shuffle(faults)
            found.append(((zlib.crc32(f"{path}:{line}".encode()) - week) % CYCLE, path, line, faults))
    return sorted(found, key=lambda one: (one[0], zlib.crc32(f"{one[1]} {one[2]}".encode())))


def first_fault(source: str, path: str, faults: list[tuple[str, int]], known: set) -> tuple[str, int, str] | None:
    """The first that is Python and not known to be equivalent."""
    for name, occurrence in faults:
        faulty = planted(source, name, occurrence)
        try:
            ast.parse(faulty)
        except SyntaxError:
            continue
        if (path, *change(source, faulty)) not in known:
            return name, occurrence, faulty
    return None


def equivalent(root: Path) -> set[tuple[str, str, str]]:
    file = root / "tests/equivalent_mutants.yml"
    listed = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return {(one["file"], one["line"], one["mutant"]) for one in listed or ()}


def report(results: list[dict], unsound: list[str], waiting: int) -> str:
    """The table, and each survivor."""
    lines = ["| module | mutants | killed | of these by time | survived |", "|---|--:|--:|--:|--:|"]
    for path in sorted({one["file"] for one in results}):
        count = Counter(one["verdict"] for one in results if one["file"] == path)
        killed = count["failed"] + count["time"]
        lines.append(f"| {path} | {count.total()} | {killed} | {count['time']} | {count['passed']} |")
    lines += ["", f"Lines due this week and not tried: {waiting}."]
    lines += [f"- not tried, its tests do not pass (or there are none): {path}" for path in sorted(unsound)]
    lines += ["", "## Survivors", ""]
    for one in sorted(results, key=lambda one: (one["file"], one["line"])):
        if one["verdict"] == "passed":
            lines.append(f"- `{one['file']}:{one['line']}` `{one['was']}` became `{one['is']}`")
    return "\n".join(lines) + "\n"


def search(root: Path, out: Path, minutes: float, only: str, week: int, quick: bool) -> str:
    """Try faults until the time is over; returns the report, which is written to `out`, too."""
    stop = time.monotonic() + 60 * minutes
    out.mkdir(parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(out / "numba")
    trial, known, results, unsound = Trial(root, out), equivalent(root), [], set()
    stored = out / "results.jsonl"
    lines = stored.read_text(encoding="utf-8").splitlines() if stored.is_file() else []
    done = {one["key"]: one for one in map(json.loads, lines)}
    waiting = due(root, only, week)
    while waiting and time.monotonic() < stop:
        _, path, line, faults = waiting.pop(0)
        source = (root / path).read_text(encoding="utf-8")
        fault = first_fault(source, path, faults, known)
        if path in unsound or fault is None:
            continue
        name, occurrence, faulty = fault
        was, now = change(source, faulty)
        tests = tests_of(root, path)
        texts = [source, *((root / test.partition("::")[0]).read_text(encoding="utf-8") for test in tests)]
        key = hashlib.sha256("\0".join([path, name, str(occurrence), str(quick), *texts]).encode()).hexdigest()[:16]
        if key not in done:
            if not trial.sound(tests):
                unsound.add(path)
                continue
            verdict = trial.notices(path, faulty, tests)
            for more in [] if quick else chapters_of(root, path):
                if verdict == "passed" and trial.sound([more]):
                    verdict = trial.notices(path, faulty, [more])
            done[key] = {"key": key, "file": path, "line": line, "was": was, "is": now, "verdict": verdict}
            with stored.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[key]) + "\n")
            print({"passed": "SURVIVED"}.get(verdict, "killed"), f"{path}:{line}  {was}  ->  {now}", flush=True)
        results.append(done[key])
    text = report(results, unsound, sum(share == 0 for share, *_ in waiting))
    (out / "report.md").write_text(text, encoding="utf-8")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="time limit; the last trial may end after it")
    parser.add_argument("--only", default="", help="words, one of which a module's path holds: margins/limits")
    parser.add_argument("--week", type=int, help="whose lines come first (default: this week, counted from 1970)")
    parser.add_argument("--quick", action="store_true", help="do not ask the tests of chapters")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    week = chosen.week if chosen.week is not None else datetime.date.today().toordinal() // 7
    root = chosen.root.resolve()
    if not modules(root, chosen.only):
        parser.error(f"--only must be part of the path of a module under lib or kernels, got {chosen.only!r}")
    print(search(root, root / "_build/mutants", chosen.minutes, chosen.only, week, chosen.quick))


if __name__ == "__main__":
    main()
