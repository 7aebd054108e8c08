"""The benchmark runner, and the one of variants: what fails costs its own row, and nothing measured is lost."""

import importlib.util
import json
import os
import subprocess
import sys
import types

import pytest
from lanes import ROOT

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
        yield "numba", None, module.ours, case["n"], ""
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
    monkeypatch.setattr(module, "MOST", 0)
    monkeypatch.setattr(module, "ours", lambda: None, raising=False)
    gates = []

    def gate(ops, device, report, most):
        gates.append((ops, device, most))
        report.write_text(REPORT)

    monkeypatch.setattr(module, "gate", gate)

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["run.py", "--out", str(tmp_path), *arguments])
        return module.main()

    return types.SimpleNamespace(main=main, module=module, folder=tmp_path, toy=toy, gates=gates)


def rows_in(folder):
    (file,) = folder.glob("toy--*.json")
    return {(row["case"], row["backend"]): row for row in json.loads(file.read_text())["rows"]}


def test_what_fails_costs_its_own_row(run, capsys):
    assert run.main("--peers", "all") == 0
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


def test_compiled_peers_come_later(run, capsys):
    run.main("--op", "toy")
    before = rows_in(run.folder)
    assert "torch.compile is left out: --peers all measures it, too" in capsys.readouterr().out
    assert not any(backend == "compile" for _, backend in before)
    run.main("--peers", "compile", "--op", "toy")
    after = rows_in(run.folder)
    assert {key for key in after if key not in before} == {("few", "compile"), ("many", "compile")}
    assert all(after[key] == before[key] for key in before)
    assert after["few", "compile"]["floor_s"] == after["few", "numba"]["floor_s"]
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("  few") and "compile" in line)
    rate = after["few", "numba"]["items_per_s"] / after["few", "compile"]["items_per_s"]
    assert f"{rate:.3g} times ours" in line
    run.main("--op", "toy")
    assert rows_in(run.folder)["many", "compile"] == after["many", "compile"], "what this run leaves out is kept"
    del run.toy.CASES["few"]
    run.main("--op", "toy")
    assert {case for case, _ in rows_in(run.folder)} == {"many"}


def test_ratios_and_shares_are_printed(run, capsys):
    run.main("--dry")
    few = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  few")]
    assert len(few) == 2 and all("of the floor" in line for line in few)
    assert "times ours" not in few[0] and "times ours" in few[1] and not list(run.folder.glob("*.json"))


def test_one_gate_run_for_all_ops_in_half_of_the_time(run, monkeypatch):
    monkeypatch.setattr("implicitly_kernels._ops.ops", lambda: ["toy", "toy2"])
    monkeypatch.setitem(sys.modules, "implicitly_kernels.toy2.spec", run.toy)
    monkeypatch.setitem(sys.modules, "implicitly_kernels.toy2", types.SimpleNamespace(spec=run.toy))
    monkeypatch.setitem(sys.modules, "peers.toy2", sys.modules["peers.toy"])
    assert run.main("--minutes", "2") == 1  # REPORT has no test of toy2
    ((ops, device, most),) = run.gates
    assert ops == ["toy", "toy2"] and device == "cpu" and 50 < most <= 60
    assert {row["gate"] for row in rows_in(run.folder).values()} == {"passed"}
    assert {row["gate"] for row in json.loads(next(run.folder.glob("toy2--*.json")).read_text())["rows"]} == {"failed"}


def test_the_gate_leaves_out_what_asks_something_else(run):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-p", "no:cacheprovider",
               "-m", "not gpu and not interp and not compile",
               *(ROOT / "tests" / "kernels" / f"test_{op}.py" for op in ("langevin", "relu_gd", "kaczmarz"))]
    told = [subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
            for more in ((), ("-k", run.module.WITHOUT))]
    left_out = {word.partition("::")[2].partition("[")[0] for word in set(told[0]) - set(told[1]) if "::" in word}
    assert left_out == {
        "test_planted_faults_are_seen", "test_opcheck", "test_opcheck_and_no_gradient",
        "test_bits_do_not_hang_on_the_width_of_vectors",
        "test_a_thousand_trajectories_of_a_thousand_tasks_take_less_than_a_gigabyte",
    }


def test_a_gate_that_takes_too_long_is_red(run, monkeypatch, tmp_path, capsys):
    def slow(command, timeout, **kwargs):
        assert timeout == 7
        raise subprocess.TimeoutExpired(command, timeout)

    spec = importlib.util.spec_from_file_location("again", ROOT / "kernels" / "benchmarks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.subprocess, "run", slow)
    module.gate(["toy"], "cpu", tmp_path / "none.xml", 7)
    assert "the tests took longer than 7 s" in capsys.readouterr().out
    assert not module.gated("toy", tmp_path / "none.xml")


def test_what_has_no_time_left_is_named(run, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(run.module.time, "monotonic", lambda: now[0])

    def spend():
        now[0] += 10

    monkeypatch.setattr(run.module, "ours", spend)  # 50 s a case: a call, three repeats, and one that looks inside

    def left_out(seconds):
        now[0] = 0.0
        assert run.main("--minutes", str(seconds / 60 / run.module.USED)) == 0
        said = capsys.readouterr().out.splitlines()
        return [line.strip().removesuffix(" left out: no time is left") for line in said if "no time is left" in line]

    few, many = ([f"toy: {case}: {peer}" for peer in ("torchao", "eager", "eager, half")] for case in ("few", "many"))
    assert left_out(100.5) == []
    assert left_out(99.5) == few + many  # our own next case comes first
    assert {case for case, _ in rows_in(run.folder)} == {"few", "many"}
    assert left_out(50.5) == few + many and left_out(49.5) == [*few, "toy: many"]


def test_ours_is_timed_three_times_and_a_peer_at_least_once(run, monkeypatch):
    run.main()
    rows = rows_in(run.folder)
    assert rows["few", "numba"]["repeats"] == 3 and rows["few", "eager, half"]["repeats"] == 1
    assert rows["few", "eager, half"]["spread"] is None and rows["few", "numba"]["spread"] >= 1


def test_ceilings_are_measured_once(run, monkeypatch, tmp_path):
    import ceilings

    file = tmp_path / "ceilings.json"
    run.main("--ceilings", str(file))
    monkeypatch.setattr(ceilings, "cpu", lambda: 1 / 0)
    assert run.main("--ceilings", str(file)) == 0 and json.loads(file.read_text()) == CEILINGS
    assert run.main("--peers", "compile") == 0  # those of the file that it adds to


def test_the_bare_backend_is_timed_beside_the_call(run, monkeypatch):
    import torch
    from timing import bare

    import implicitly_kernels as ik

    x = torch.randn(32, 16)
    call = bare(lambda: ik.nvfp4_qdq(x, backend="reference"))
    monkeypatch.setattr("implicitly_kernels._checks.tensor", lambda *a, **k: 1 / 0)
    assert torch.equal(call()[0], ik.nvfp4.reference.qdq(x, torch.tensor(1.0), "nvfp4", "nearest", "rtn", 0))
    assert bare(lambda: None) is None
    monkeypatch.setattr(run.module, "ours", lambda: ik.nvfp4._DISPATCH["qdq"]("reference", x)(
        x, torch.tensor(1.0), "nvfp4", "nearest", "rtn", 0))
    run.main()
    rows = rows_in(run.folder)
    assert rows["few", "numba"]["kernel_s"] > 0 and rows["few", "eager, half"]["kernel_s"] is None


def test_a_red_gate_is_marked_and_not_among_the_results(run, monkeypatch, capsys):
    monkeypatch.setattr(run.module, "gate", lambda ops, device, report, most: None)
    assert run.main() == 1
    assert {row["gate"] for row in rows_in(run.folder).values()} == {"failed"}
    monkeypatch.setattr(run.module, "RESULTS", run.folder)
    (file,) = run.folder.glob("*.json")
    file.unlink()
    assert run.main() == 1 and not list(run.folder.glob("*.json"))
    assert "its tests did not pass: timed and marked, not written" in capsys.readouterr().out


def test_the_report_of_one_run_is_the_gate_of_all(run, tmp_path, capsys):
    report = tmp_path / "gate.xml"
    report.write_text(REPORT)
    assert run.module.gated("toy", report)
    assert not run.module.gated("sick", report) and "it is off by one" in capsys.readouterr().out
    assert not run.module.gated("late", report) and "none of its tests ran" in capsys.readouterr().out
    report.write_text(REPORT.replace('name="test_d"/>', 'name="test_d"><error/></testcase>'))
    assert not run.module.gated("toy", report)


def test_a_gpu_that_answers_no_more_ends_the_run(run, monkeypatch, capsys):
    import torch

    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    run.module.still_there(RuntimeError("out of memory"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: 1 / 0)
    with pytest.raises(run.module.Lost):
        run.module.still_there(RuntimeError("an illegal memory access"))

    def lost(*args):
        raise run.module.Lost("the GPU answers no more")

    monkeypatch.setattr(run.module, "bench", lost)
    assert run.main() == run.module.LOST
    assert "toy: left after 0 rows, and all ops after it: the GPU answers no more" in capsys.readouterr().out


def test_a_machine_without_git(run, monkeypatch):
    def no_git(*args, **kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert run.module.commit() is None
    monkeypatch.setenv("IMPLICITLY_COMMIT", "abc1234")
    assert run.module.commit() == "abc1234"


@pytest.fixture
def variants(run, monkeypatch):
    """gpu_variants.py with one small op, whose result and launch its module's FACTOR decides, on the CPU."""
    import torch

    spec = importlib.util.spec_from_file_location("gpu_variants", ROOT / "kernels" / "benchmarks" / "gpu_variants.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    triton = types.ModuleType("toy's kernels")
    triton.FACTOR = 1.0
    timed = []

    def runs(case, device):
        yield "numba", None, None, 1, ""
        yield "triton", None, lambda: (torch.ones(case["steps"]) * triton.FACTOR, torch.arange(3)), 1, ""

    def measure(fn, device):
        timed.append((triton.FACTOR, len(fn()[0])))
        return {"median_s": 1.0}

    monkeypatch.setitem(sys.modules, "implicitly_kernels.toy._triton", triton)
    monkeypatch.setitem(sys.modules, "peers.toy", types.SimpleNamespace(runs=runs))
    monkeypatch.setattr(run.toy, "GPU_CASES", {"long": {"steps": 1000}}, raising=False)
    monkeypatch.setattr("timing.measure", measure)
    return types.SimpleNamespace(module=module, triton=triton, timed=timed)


def test_a_variant_that_fails_or_computes_something_else_costs_its_own_row(variants):
    tried = {"near": {"FACTOR": 1.0 + 1e-7}, "wrong": {"FACTOR": 1.001}, "broken": {"FACTOR": "a"}, "same": {}}
    rows = {row["variant"]: row for row in variants.module.rows({("toy", "long"): tried}, dry=False)}
    assert list(rows) == ["default", *tried] and variants.triton.FACTOR == 1.0
    assert {name for name, row in rows.items() if "median_s" in row} == {"default", "near", "same"}
    assert rows["wrong"]["failed"] == "ValueError: its result is off the default's by 1.0e-03"
    assert rows["broken"]["failed"].startswith("TypeError")
    assert variants.timed == [(1.0, 1000), (1.0 + 1e-7, 1000), (1.0, 1000)]  # in full, once the small case agrees


def test_the_error_of_a_variant(variants):
    import torch

    error, nan = variants.module.error, torch.tensor([1.0, float("nan")])
    assert error(torch.ones(4) * 1.5, torch.ones(4)) == 0.5
    assert error((torch.ones(2), torch.tensor([1, 2])), (torch.ones(2), torch.tensor([1, 3]))) == float("inf")
    assert error(nan, torch.ones(2)) == error(torch.ones(2), nan) == float("inf")
    assert error(torch.zeros(2), torch.zeros(2)) == 0.0


def test_every_variant_changes_what_its_kernel_has(variants):
    pytest.importorskip("triton")
    for (op, case), others in variants.module.VARIANTS.items():
        assert case in importlib.import_module(f"implicitly_kernels.{op}.spec").GPU_CASES
        names = vars(importlib.import_module(f"implicitly_kernels.{op}._triton"))
        assert all(name in names for changes in others.values() for name in changes)


@pytest.mark.compile
def test_variants_compile_without_a_gpu(tmp_path):
    pytest.importorskip("triton")
    script = ROOT / "kernels" / "benchmarks" / "gpu_variants.py"
    done = subprocess.run(
        [sys.executable, script, "--dry-run", "--op", "relu_gd", "--out", tmp_path / "variants.json"],
        capture_output=True, text=True, env={k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "variants.json").read_text())["rows"]
    assert {row["warps"] for row in rows} == {1, 4} and not any("failed" in row for row in rows)


def test_every_case_has_a_floor(run):
    for folder in sorted((ROOT / "kernels" / "implicitly_kernels").glob("*/spec.py")):
        spec = importlib.import_module(f"implicitly_kernels.{folder.parent.name}.spec")
        for name, case in (spec.CASES | spec.GPU_CASES).items():
            seconds, kind = run.module.floor(spec.cost(case), CEILINGS)
            assert seconds > 0 and kind in run.module.RATES, name
        assert not any("latency" in case for case in spec.CASES.values())
        assert not all("latency" in case for case in spec.GPU_CASES.values()) or folder.parent.name == "kaczmarz"


def test_what_does_not_fill_the_device_says_latency(run, monkeypatch):
    monkeypatch.setitem(run.toy.CASES, "few", {"n": 4, "latency": True})
    run.main()
    rows = rows_in(run.folder)
    assert {case: row["floor_kind"] for (case, _), row in rows.items()} == {"few": "latency", "many": "bytes"}
