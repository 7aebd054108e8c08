"""The benchmark runner: what fails costs its own row and no other, and nothing that was measured is lost."""

import importlib.util
import json
import subprocess
import sys
import types

import pytest
from conftest import ROOT

CEILINGS = {"copy": 1e9, "flop": 1e9, "int": 1e9, "gemm": 1e9, "launch": 1e-6}
REPORT = """<testsuites><testsuite>
<testcase classname="tests.kernels.test_toy" name="test_a"/>
<testcase classname="tests.kernels.test_toy" name="test_skipped"><skipped/></testcase>
<testcase classname="tests.kernels.test_sick" name="test_b"><failure>it is off by one</failure></testcase>
<testcase classname="tests.kernels.test_late" name="test_c"><skipped/></testcase>
<testcase classname="tests.kernels.test_rng" name="test_d"/>
</testsuite></testsuites>"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """The runner, with one small op of which most peers fail."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    spec = importlib.util.spec_from_file_location("run", ROOT / "kernels" / "benchmarks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def missing():
        import a_package_that_nobody_has  # noqa: F401

    def broken():
        raise RuntimeError("out of memory\nand more")

    def runs(case, device):
        yield "numba", None, lambda: None, case["n"], ""
        yield "torchao", "torchao", missing, case["n"], ""
        yield "eager", "torch", broken, case["n"], ""
        yield "eager, half", "torch", lambda: None, case["n"] // 2, lambda: "said after the run"
        yield "compile", "torch", lambda: None, case["n"], ""
        if case["n"] > 4:
            raise ImportError("no such thing", name="thing")

    def cost(case):
        return {"bytes": 8 * case["n"]}

    toy = types.SimpleNamespace(CASES={"few": {"n": 4}, "many": {"n": 8}}, cost=cost)
    peers = types.SimpleNamespace(runs=runs, ITEM="element")
    monkeypatch.setitem(sys.modules, "implicitly_kernels.toy.spec", toy)
    monkeypatch.setitem(sys.modules, "implicitly_kernels.toy", types.SimpleNamespace(spec=toy))
    monkeypatch.setitem(sys.modules, "peers.toy", peers)
    monkeypatch.setattr("implicitly_kernels._ops.ops", lambda: ["toy"])
    import ceilings
    import torch

    monkeypatch.setattr(ceilings, "cpu", lambda: CEILINGS)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    monkeypatch.setattr(module, "gate", lambda op, device: True)

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["run.py", "--budget", "0", "--out", str(tmp_path), *arguments])
        return module.main()

    return types.SimpleNamespace(main=main, module=module, folder=tmp_path, toy=toy)


def rows_in(folder):
    (file,) = folder.glob("toy--*.json")
    return {(row["case"], row["backend"]): row for row in json.loads(file.read_text())["rows"]}


def test_what_fails_costs_its_own_row(run, capsys):
    assert run.main() == 0
    said = capsys.readouterr().out
    assert "few: torchao left out: a_package_that_nobody_has is not installed" in said
    assert "few: eager left out: RuntimeError: out of memory\n" in said
    assert "toy: thing is not installed: this entry and any after it are left out" in said
    rows = rows_in(run.folder)
    backends = ("numba", "eager, half", "compile")
    assert list(rows) == [(case, backend) for case in ("few", "many") for backend in backends]
    assert rows["few", "eager, half"]["note"] == "said after the run"
    assert rows["few", "eager, half"]["floor_s"] == rows["few", "numba"]["floor_s"] / 2 == 2 * 8 / CEILINGS["copy"]


def test_every_row_is_on_the_disk_when_a_later_one_kills_the_run(run, monkeypatch):
    monkeypatch.setattr(run.toy, "cost", lambda case: {"bytes": 8} if case["n"] == 4 else 1 / 0)
    assert run.main() == 1
    assert {case for case, _ in rows_in(run.folder)} == {"few"}


def test_compiled_peers_come_later(run):
    run.main("--peers", "plain", "--op", "toy")
    before = rows_in(run.folder)
    assert not any(backend == "compile" for _, backend in before)
    run.main("--peers", "compile", "--op", "toy")
    after = rows_in(run.folder)
    assert {key for key in after if key not in before} == {("few", "compile"), ("many", "compile")}
    assert all(after[key] == before[key] for key in before)
    assert after["few", "compile"]["floor_s"] == after["few", "numba"]["floor_s"]


def test_a_red_gate_is_marked_and_not_among_the_results(run, monkeypatch, capsys):
    monkeypatch.setattr(run.module, "gate", lambda op, device: False)
    assert run.main() == 1
    assert {row["gate"] for row in rows_in(run.folder).values()} == {"failed"}
    monkeypatch.setattr(run.module, "RESULTS", run.folder)
    (file,) = run.folder.glob("*.json")
    file.unlink()
    assert run.main() == 1 and not list(run.folder.glob("*.json"))
    assert "its tests fail: timed and marked, not written" in capsys.readouterr().out


def test_the_report_of_one_run_is_the_gate_of_all(run, tmp_path, capsys):
    report = tmp_path / "gate.xml"
    report.write_text(REPORT)
    assert run.module.gated("toy", report)
    assert not run.module.gated("sick", report) and "it is off by one" in capsys.readouterr().out
    assert not run.module.gated("late", report) and "none of its tests ran" in capsys.readouterr().out
    report.write_text(REPORT.replace('name="test_d"/>', 'name="test_d"><error/></testcase>'))
    assert not run.module.gated("toy", report)


def test_a_machine_without_git(run, monkeypatch):
    def no_git(*args, **kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert run.module.commit() is None
    monkeypatch.setenv("IMPLICITLY_COMMIT", "abc1234")
    assert run.module.commit() == "abc1234"
