"""The kernels page: built from result files alone, with the device in each caption."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx

from book_model import Book
from kernels_page import device_section, in_order, measured, prediction, resources, table

ROOT = Path(__file__).resolve().parents[2]
OPS = Book(ROOT).ops
CONF = """
extensions = ["myst_nb", "sphinx_design", "kernels_page"]
nb_execution_mode = "off"
source_suffix = {".md": "myst-nb"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
suppress_warnings = ["config.cache"]
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """page(results=...): the page's HTML; `results` maps file names to JSON in place of the repo's."""
    monkeypatch.syspath_prepend(str(ROOT / "book/_ext"))

    def build(results=None):
        source = tmp_path / "repo"
        ignored = ["__pycache__"] + ["results"] * (results is not None)
        shutil.copytree(ROOT / "kernels", source / "kernels", ignore=shutil.ignore_patterns(*ignored))
        folder = source / "kernels" / "benchmarks" / "results"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (results or {}).items():
            (folder / name).write_text(json.dumps(content))
        (source / "book").mkdir()
        shutil.copy(ROOT / "book/plan.yml", source / "book/plan.yml")
        (source / "conf.py").write_text(CONF)
        shutil.copy(ROOT / "book/kernels.md", source / "index.md")
        warnings = open(tmp_path / "warnings.txt", "w+")  # noqa: SIM115
        app = Sphinx(source, source, tmp_path / "out", tmp_path / "doctrees", "html", status=None,
                     warning=warnings, freshenv=True)
        app.build()
        warnings.seek(0)
        # A second Sphinx in one process says that its own nodes are registered already.
        said = [line for line in warnings.read().splitlines() if "already registered" not in line]
        assert said == []
        return (tmp_path / "out" / "index.html").read_text()

    return build


def row(backend, rate, **more):
    return {"op": "relu_flow", "case": "100k particles, m = d = 30, 100 steps", "backend": backend,
            "peer": None if backend in ("numba", "triton") else {"name": "torch", "version": "9.9"},
            "item": "particle step", "items": 10, "note": "", "items_per_s": rate, "fraction": 0.123,
            "floor_s": 1e-8, "floor_kind": "flops", "flops": 4.5e9, "torch": "9.9+cpu", "numba": "8.8",
            "triton": "7.7", "driver": "550.1", "date": "2031-02-03", "commit": "abc1234"} | more  # fmt: skip


def result(kind, device, rows):
    return {"op": "relu_flow", "kind": kind, "device": device,
            "ceilings": {"copy": 1e9, "flop": 2e11, "int": 1e9}, "rows": rows}  # fmt: skip


def test_every_op_has_its_section_and_source(page):
    html = page()
    text = re.sub(r"<[^>]+>", "", html)
    for name, op in OPS.items():
        assert f"implicitly_kernels.{name}" in text and f"def {op.declared('SHOWN')}" in text
        assert op.declared("TITLE") in text
    assert text.count("is compiled for Hopper:") == text.count("predicted, not measured") == len(OPS)


def test_what_is_compiled_is_said_from_the_file():
    """Of the first variant by the newest Triton, the most of all, and that nothing of it was measured."""
    def used(instructions, regs, spills=0):
        return {"instructions": instructions, "regs": regs, "spills": spills}

    def chips(*rows):
        names = "toy_small", "toy", "toys"
        return {chip: dict(zip(names, map(dict, rows), strict=True)) for chip in ("sm_80", "sm_90")}

    recorded = {"3.9.1": chips(used(311, 41), used(99, 77), used(9, 200, 9)),
                "3.10.0": chips(used(423, 57), used(98, 72), used(9, 200, 9))}  # fmt: skip
    said = resources("toy", recorded)
    assert "`toy_small` is compiled for Hopper: 423 instructions, 57 registers a thread, nothing spilled;" in said
    assert "predicted, not measured" in said
    assert "All 2 variants" in said and "at most 72 (Triton 3.10.0), 77 (Triton 3.9.1) registers" in said
    assert "sm\\_90, nothing spilled." in said and "200" not in said
    recorded["3.9.1"]["sm_80"]["toy"]["spills"] = 3
    assert "sm\\_90, 3 spill instructions." in resources("toy", recorded)
    assert resources("toy", {}) == resources("other", recorded) == ""


def test_the_page_says_what_the_resources_file_holds(page):
    text = re.sub(r"<[^>]+>", "", page({}))
    measured = json.loads((ROOT / "kernels/resources.json").read_text())["measured"]
    newest = measured[max(measured, key=lambda v: [int(part) for part in v.split(".")])]["sm_90"]
    shown = re.findall(r"(\w+) is compiled for Hopper: (\d+) instructions, (\d+) registers a thread", text)
    assert len(shown) == len(OPS)
    assert all((newest[n]["instructions"], newest[n]["regs"]) == (int(i), int(r)) for n, i, r in shown)


def test_no_result_is_said_not_estimated(page):
    text = re.sub(r"<[^>]+>", "", page({}))
    assert text.count("No GPU result yet.") == text.count("No CPU result yet") == len(OPS)
    assert "Against eager torch" not in text


def test_numbers_come_from_the_file_and_devices_do_not_mix(page):
    cpu = result("cpu", "Some CPU", [row("numba", 9e6), row("eager", 1e6)])
    gpu = result("cuda", "Some GPU", [row("triton", 5e9), row("eager", 1e8)])
    html = page({"relu_flow--some-cpu.json": cpu, "relu_flow--some-gpu.json": gpu})
    captions = re.findall(r"<caption>.*?</caption>", html, re.S)
    assert len(captions) == 2
    assert sum("Some CPU" in c for c in captions) == 1 and sum("Some GPU" in c for c in captions) == 1
    assert all("at commit abc1234, 2031-02-03: torch" in re.sub(r"<[^>]+>", "", c) for c in captions)
    text = re.sub(r"<[^>]+>", "", html)
    assert "9 ×" in text and "50 ×" in text and "9 million" in text and "5 billion" in text
    assert "Target: 4.5 × eager torch" in text and "Reached: 9 ×" in text
    assert "m\u00a0=\u00a0d\u00a0=\u00a030" in text
    assert text.count("No GPU result yet.") == len(OPS) - 1


def test_a_caption_names_every_commit_of_its_rows():
    rows = [row("numba", 9e6), row("eager", 1e6), row("compile", 2e6, commit="def5678", date="2031-02-04")]
    assert measured(rows[:2]) == "commit abc1234, 2031-02-03"
    assert measured(rows) == "commit abc1234, 2031-02-03 and commit def5678, 2031-02-04"
    assert measured([row("numba", 9e6, commit=None)]) == "an unknown commit, 2031-02-03"
    parts = device_section(result("cpu", "Some CPU", rows), OPS["relu_flow"]).splitlines()
    assert sum(measured(rows) in line for line in parts if "list-table" in line) == 1


def test_a_row_on_less_work_says_so():
    rows = [row("numba", 9e6, items=1000), row("eager", 1e6, items=20, note="a loop"), row("compile", 1e6, items=300),
            row("torchdiffeq", 1e6, items=1000, note="all")]  # fmt: skip
    said = [line for line in table(rows, "caption").splitlines() if line.startswith("* - ") and "Who" not in line]
    assert ["of the work" in line for line in said] == [False, True, True, False]
    assert "(on 1/50 of the work; a loop)" in said[1] and "(on 1/3.33 of the work)" in said[2] and "(all)" in said[3]


def test_committed_rows_on_less_work_say_so(page):
    text = re.sub(r"<[^>]+>", "", page())
    less = 0
    for file in (ROOT / "kernels" / "benchmarks" / "results").glob("*.json"):
        rows = json.loads(file.read_text())["rows"]
        for case in {r["case"] for r in rows}:
            some = [r for r in rows if r["case"] == case]
            less += sum(r["items"] < some[0]["items"] for r in some)
    assert less and len(re.findall(r"on 1/\d[\d.]* of the work", text)) == less


def test_what_does_not_fill_the_device_has_its_floor_called_out_of_reach():
    gpu = row("triton", 5e9, floor_kind="latency", bytes=10, ints=0)
    assert "float operations bind" in prediction(gpu, result("cuda", "", [])["ceilings"])
    assert "fills too little of the device" in prediction(gpu, result("cuda", "", [])["ceilings"])
    assert "fills too little" not in prediction(row("triton", 5e9), result("cuda", "", [])["ceilings"])


def test_a_missed_target_is_said(page):
    cpu = result("cpu", "Some CPU", [row("numba", 2e6), row("eager", 1e6)])
    text = re.sub(r"<[^>]+>", "", page({"relu_flow--some-cpu.json": cpu}))
    assert "Not reached: 2 ×" in text


def test_what_is_not_compiled_for_the_cpu_is_said(page):
    text = re.sub(r"<[^>]+>", "", page({})).replace("\u2019", "'")
    without = [op for op in OPS.values() if op.spec.get("NO_NUMBA")]
    assert without and text.count("Nothing of ours is compiled for the CPU") == len(without)
    assert all(op.spec["NO_NUMBA"] in text for op in without)


def test_the_page_needs_neither_torch_nor_the_kernels():
    code = (
        "import sys; sys.path.insert(0, 'book/_ext')\n"
        "for name in ('torch', 'implicitly', 'implicitly_kernels', 'triton', 'numba'):\n"
        "    sys.modules[name] = None\n"
        "from book_model import Book\n"
        "import kernels_page as k\n"
        "print(sum(len(k.section(op, Book('.'))) for op in Book('.').ops))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 5000


def test_ops_follow_the_chapters():
    numbers = [min(Book(ROOT).planned[slug].number for slug in OPS[name].declared("CHAPTERS"))
               for name in in_order(Book(ROOT))]  # fmt: skip
    assert len(numbers) == len(OPS) and numbers == sorted(numbers)


def test_committed_results_are_whole_and_name_no_path():
    files = sorted((ROOT / "kernels" / "benchmarks" / "results").glob("*.json"))
    assert files
    for file in files:
        text = file.read_text()
        data = json.loads(text)
        assert "/home" not in text and "/work" not in text
        assert all(r["gate"] == "passed" and r["fraction"] > 0 for r in data["rows"])
        needed = {"op", "backend", "peer", "shape", "dtype", "median_s", "min_s", "spread", "cpu_s", "floor_s",
                  "floor_kind", "fraction", "device", "capability", "driver", "torch", "triton", "threads",
                  "load", "commit", "date", "gate"}  # fmt: skip
        assert all(needed <= set(r) for r in data["rows"])
