"""The runner of `make test-cpus`: what it makes of a report, and that its choices are taken."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

import cpus
import paths
import room


@pytest.mark.parametrize(
    ("explanation", "share"),
    [
        ("assert 2e-9 < 1e-8", 0.2),
        ("assert 5e-9 <= 1e-08\n +  where 5e-9 = f(1)", 0.5),
        ("assert tensor(2.5e-09, dtype=torch.float64) < 1e-08", 0.25),
        ("assert np.float64(0.5) < 2", 0.25),
        ("assert 0.9 == 1.0 ± 2.0e-01", 0.5),
        ("assert -3.0 < 1.0", 0.0),
        ("assert 3 < 0", None),
        ("assert 1e-9 == 1e-9", None),
        ("assert 'a' == 'a'", None),
        ("assert 0.1 < 0.2 < 0.3", None),
        ("assert True", None),
    ],
)
def test_the_share_of_a_tolerance_is_read_from_an_assertion(explanation, share):
    assert room.used(explanation) == (share if share is None else pytest.approx(share, rel=1e-6))


def test_a_run_writes_the_largest_share_of_each_check(tmp_path):
    (tmp_path / "test_a.py").write_text(
        "def test_a():\n    for error in (1e-9, 4e-9, 2e-9):\n        assert error < 1e-8\n"
        "def test_b():\n    assert 1e-7 < 1e-8\n"
    )
    command = [sys.executable, "-m", "pytest", "test_a.py", "-q", "-p", "room", "--room", "out.jsonl",
               "-o", "enable_assertion_pass_hook=true", "-p", "no:cacheprovider"]  # fmt: skip
    env = cpus.environment("native") | {"PYTHONPATH": str(paths.ROOT / "book/_tools")}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "1 failed, 1 passed" in run.stdout
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads(line) == ["test_a.py::test_a", "error < 1e-8", 0.4]


def test_checks_with_little_room_are_listed_where_they_vary():
    def result(**shares):
        return {"room": {("lib", "t", what): share for what, share in shares.items()}}

    results = {("native", "lib"): result(a=0.1, b=0.7, c=0.7), ("sse", "lib"): result(a=0.2, b=0.7, c=0.8, d=0.9)}
    (line,) = cpus.little_room(results)
    assert line.split() == ["0.80", "0.70", "sse", "lib", "t", "c"]


def test_a_choice_that_is_not_in_force_is_an_error(monkeypatch):
    found = {"in force": {"threads": [1, 1], "aten": "AVX2", "openblas": ["Haswell"], "numpy": [], "numba": "host"},
             "bits": {}}  # fmt: skip
    done = SimpleNamespace(returncode=0, stdout=json.dumps(found), stderr="")
    monkeypatch.setattr(cpus.subprocess, "run", lambda *args, **options: done)
    assert cpus.probed(["native", "numpy"]) == ["native"]  # the same bits twice
    with pytest.raises(RuntimeError, match="aten: aten must be DEFAULT, found AVX2"):
        cpus.probed(["aten"])
    with pytest.raises(RuntimeError, match=r"threads: threads must be \[2, 2\], found \[1, 1\]"):
        cpus.probed(["threads"])


def test_six_arithmetics_run_if_none_is_named():
    """Each choice is made by one of them, and the single ones only tell which choice a difference comes from."""
    assert cpus.SIX == ["native", "threads", "sse", "sse-threads", "avx2", "avx512"]
    together = cpus.ARITHMETICS["sse"][0]
    assert all(choice.items() <= together.items() for choice in cpus.OLD.values())


def test_what_is_left_out_is_there():
    assert all((paths.ROOT / f"tests/lib/test_{name}.py").exists() for name in cpus.OF_ONE_KIND)


@pytest.mark.parametrize(("failures", "status", "red"), [((), 0, False), (("a::b",), 1, True), ((), 2, True)])
def test_any_failure_is_red(monkeypatch, capsys, failures, status, red):
    result = {"passed": 3, "failed": list(failures), "seconds": 1.0, "status": status, "room": {}, "log": "a.log"}
    monkeypatch.setattr(cpus, "probed", lambda names: names)
    monkeypatch.setattr(cpus, "run", lambda name, suite, options: result if suite == "lib" else result | {"status": 0})
    monkeypatch.setattr("sys.argv", ["cpus.py", "-a", "native", "-s", "lib"])
    assert cpus.main() == red
    said = capsys.readouterr().out
    assert f"3/{len(failures)}" in said and ("a.log" in said) == red


def test_lab_runs_its_kernels_with_one_thread(tmp_path):
    (tmp_path / "jupyter").write_text('#!/bin/sh\necho "$OMP_NUM_THREADS $MKL_NUM_THREADS $OPENBLAS_NUM_THREADS"\n')
    (tmp_path / "python").write_text("#!/bin/sh\n")  # makes the copies that are opened
    for name in ("jupyter", "python"):
        (tmp_path / name).chmod(0o755)
    command = ["make", "-s", "-o", ".venv/.all", "lab", f"BIN={tmp_path}"]
    plain = {name: value for name, value in paths.execution_environment().items() if name not in cpus.THREADS}
    for more, said in (({}, "1 1 1"), ({"OMP_NUM_THREADS": "4"}, "4 1 1")):
        run = subprocess.run(command, cwd=paths.ROOT, env=plain | more, capture_output=True, text=True, check=True)
        assert run.stdout.splitlines()[-1] == said
