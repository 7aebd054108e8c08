"""Sweeps: order, resuming, damage, failures; and the same sweep on two worker processes of a Dask cluster."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pytest
import torch

import implicitly
from implicitly.sweeps import SweepError, sweep

GRID = {"a": [1, 2, 3], "b": ["x", "y"]}


def work(a, b, seed, scale=1):
    return {"value": scale * a + 10 * seed, "label": b * a}


def logged(a, seed, folder, pause=0.0):
    """Leaves a file for each call, so that calls can be counted across processes."""
    time.sleep(pause)
    with open(os.path.join(folder, f"{a}-{seed}"), "a") as file:
        file.write("x")
    return {"square": a * a + seed, "process": os.getpid()}


def breaks_at_two(a, seed):
    if a == 2:
        raise ZeroDivisionError("two")
    return {"v": a}


def calls(folder):
    return {path.name: len(path.read_text()) for path in folder.iterdir()}


def quiet(*args, **kwargs):
    """The rows as dicts."""
    return sweep(*args, **{"progress": False, **kwargs}).to_dict("records")


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_rows_come_in_grid_order(n_jobs):
    table = quiet(work, GRID, seeds=[0, 7], n_jobs=n_jobs)
    assert [(row["a"], row["b"], row["seed"]) for row in table] == [
        (a, b, s) for a in GRID["a"] for b in GRID["b"] for s in (0, 7)
    ]
    assert all(row["value"] == row["a"] + 10 * row["seed"] for row in table)


def test_table():
    table = sweep(work, GRID, seeds=[0, 1, 2], progress=False)
    assert list(table.columns) == ["a", "b", "seed", "value", "label"] and list(table.index) == list(range(18))
    cells = table.groupby(["a", "b"])["value"]
    assert cells.mean()[2, "y"] == 12 and cells.std()[2, "y"] == pytest.approx(10)
    assert table[(table.a == 2) & (table.b == "y")]["value"].tolist() == [2, 12, 22]


def test_columns_have_the_types_of_their_values():
    def mixed(a, seed):
        return {"whole": 2**60 + a, "real": a / 3, "flag": a > 1, "text": "é" * a, "some": None if a == 1 else 0.5}

    table = sweep(mixed, {"a": [1, 2]}, progress=False)
    kinds = {name: kind.kind for name, kind in table.dtypes.items() if name not in ("text", "a", "seed")}
    assert kinds == {"whole": "i", "real": "f", "flag": "b", "some": "f"}
    assert table["whole"].tolist() == [2**60 + 1, 2**60 + 2] and table["text"].tolist() == ["é", "éé"]
    assert table["some"].isna().tolist() == [True, False]


def test_scalars_of_numpy_and_torch():
    def mixed(a, seed):
        return {"np": np.float32(0.5), "array": np.ones(1), "torch": torch.tensor(a), "none": None, "flag": a > 1}

    row = quiet(mixed, {"a": np.arange(1, 3)})[1]
    assert row == {"a": 2, "seed": 0, "np": 0.5, "array": 1.0, "torch": 2, "none": None, "flag": True}
    assert type(row["a"]) is int and type(row["np"]) is float


def test_resumes_and_grows(tmp_path):
    file, folder = tmp_path / "r.jsonl", tmp_path / "calls"
    folder.mkdir()
    run = functools.partial(logged, folder=str(folder))
    first = quiet(run, {"a": [1, 2]}, seeds=[0], results=file)
    assert quiet(run, {"a": [1, 2]}, seeds=[0], results=file) == first
    larger = quiet(run, {"a": [1, 2, 3]}, seeds=[0, 1], results=file)
    assert set(calls(folder).values()) == {1} and len(calls(folder)) == 6
    assert [row for row in larger if row["seed"] == 0 and row["a"] < 3] == first


def test_stops_at_a_failure_and_keeps_what_was_done(tmp_path):
    file = tmp_path / "r.jsonl"
    with pytest.raises(SweepError, match=r"breaks_at_two failed at \{'a': 2, 'seed': 0\}: ZeroDivisionError: two"):
        quiet(breaks_at_two, {"a": [1, 2, 3]}, results=file)
    assert [json.loads(line)["point"]["a"] for line in file.read_text().splitlines()] == [1]


def test_a_failure_in_a_worker_names_the_point():
    with pytest.raises(SweepError, match=r"failed at \{'a': 2"):
        quiet(breaks_at_two, {"a": [1, 2, 3]}, n_jobs=2)


def test_a_torn_last_line_is_passed_over_and_stays(tmp_path):
    file = tmp_path / "r.jsonl"
    whole = quiet(work, GRID, results=file)
    text = file.read_bytes()
    last = len(text.splitlines(keepends=True)[-1])
    for cut in (1, 10, 40, last - 1):
        file.write_bytes(text[:-cut])
        assert quiet(work, GRID, results=file) == whole
        after = file.read_bytes()
        assert after.startswith(text[:-cut])
        assert set(text.splitlines()) <= set(after.splitlines())
    file.write_bytes(text[:-40] + bytes(40))  # what a power cut can leave
    assert quiet(work, GRID, results=file) == whole == quiet(work, GRID, results=file)


OTHER_FILES = [b"{}\n", b"not json\n", b"[1, 2]\n", b'{"point": 3}\n', b'{"sweep": 2}\n', b"a,b\n1,2\n",
               b'{"sweep": 1, "function": "work", "source": "12"}\n']  # fmt: skip


@pytest.mark.parametrize("damage", OTHER_FILES)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path, damage):
    file = tmp_path / "r.jsonl"
    quiet(work, GRID, results=file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + damage + b"".join(lines[1:]))
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"results must be a file of sweeps; line 2 of .*r.jsonl"):
        quiet(work, GRID, results=file)
    assert file.read_bytes() == before


def make(scale):
    return lambda a, seed: {"v": scale * a}


def test_another_closure_is_another_function_and_both_are_kept(tmp_path):
    file = tmp_path / "r.jsonl"
    assert [row["v"] for row in quiet(make(10), {"a": [1, 2]}, results=file)] == [10, 20]
    before = file.read_bytes()
    with pytest.warns(UserWarning, match=r"r.jsonl. holds 2 rows of another version of make.<locals>.<lambda>"):
        assert [row["v"] for row in quiet(make(100), {"a": [1, 2]}, results=file)] == [100, 200]
    assert file.read_bytes().startswith(before)
    done = file.read_bytes()
    for scale in (10, 100):  # both are finished
        assert [row["v"] for row in quiet(make(scale), {"a": [2, 1]}, results=file)] == [2 * scale, scale]
    assert file.read_bytes() == done


def test_several_functions_share_a_file(tmp_path, recwarn):
    file = tmp_path / "r.jsonl"
    table = quiet(work, GRID, results=file)
    with pytest.raises(SweepError):
        quiet(breaks_at_two, {"a": [1, 2]}, results=file)
    assert quiet(work, GRID, results=file) == table
    assert not recwarn.list


def test_a_version_stands_for_the_function(tmp_path):
    file, lock = tmp_path / "r.jsonl", threading.Lock()

    def guarded(a, seed):
        with lock:
            return {"v": a}

    with pytest.raises(TypeError, match=r"function must be one .*guarded -> lock is a _thread.lock.*version="):
        quiet(guarded, {"a": [1]}, results=file)
    assert not file.exists()
    assert quiet(guarded, {"a": [1]})[0]["v"] == 1
    quiet(guarded, {"a": [1]}, results=file, version=1)
    assert quiet(make(3), {"a": [1]}, results=file, version="b")[0]["v"] == 3
    assert quiet(make(4), {"a": [1]}, results=file, version="b")[0]["v"] == 3  # as was said
    with pytest.warns(UserWarning, match="another version"):
        assert quiet(make(4), {"a": [1]}, results=file, version="c")[0]["v"] == 4
    assert len(file.read_text().splitlines()) == 3


def test_infinities_and_nan_are_read_back(tmp_path):
    def odd(a, seed):
        return {"nan": float("nan"), "inf": a * float("inf"), "tiny": 5e-324, "third": a / 3, "text": "é\n\u2028"}

    file = tmp_path / "r.jsonl"
    first, again = (quiet(odd, {"a": [-1.0, 1.0]}, results=file) for _ in range(2))
    assert repr(again) == repr(first) and "nan" in repr(first)
    assert len(file.read_bytes().split(b"\n")) == 3


def test_order_and_numpy_numbers_find_the_same_points(tmp_path):
    file = tmp_path / "r.jsonl"
    table = quiet(work, {"a": [1, 2, 3], "b": ["x", "y"]}, seeds=range(2), results=file)
    before = file.read_bytes()
    again = quiet(work, {"b": np.array(["y", "x"]), "a": np.arange(1, 4)}, seeds=torch.arange(2), results=file)
    assert file.read_bytes() == before
    assert sorted(map(repr, (sorted(row.items()) for row in again))) == sorted(
        map(repr, (sorted(row.items()) for row in table))
    )


SLOW = """
import time

def slow(a, seed):
    time.sleep(0.005)
    return {"square": a * a, "text": "x" * 5000}
"""
MAIN = """
import sys
from implicitly import sweep

print("ready", flush=True)
sys.stdin.readline()
sweep(slow, {"a": range(int(sys.argv[2]))}, results=sys.argv[1], progress=False)
"""


def test_two_processes_write_to_one_file_and_a_killed_one_loses_nothing(tmp_path):
    file = tmp_path / "r.jsonl"
    both = [
        subprocess.Popen([sys.executable, "-c", SLOW + MAIN, str(file), str(points)], stdin=-1, stdout=-1, text=True)
        for points in (60, 100_000)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    finishes, victim = both
    assert finishes.wait(120) == 0
    deadline = time.monotonic() + 60
    while b'"a": 80, ' not in file.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.kill()
    victim.wait(60)
    for process in both:
        process.stdin.close(), process.stdout.close()
    text = file.read_bytes()
    rows = [json.loads(line) for line in text.split(b"\n") if line.endswith(b"}")]
    assert len({row["version"] for row in rows}) == 1  # the same digest in each process
    done = {row["point"]["a"] for row in rows}
    assert done >= set(range(80))
    exec(SLOW, here := {"__name__": "__main__"})  # a third process, or this one, goes on
    table = quiet(here["slow"], {"a": range(max(done) + 2)}, results=file)
    assert [row["square"] for row in table] == [a * a for a in range(max(done) + 2)]
    after = file.read_bytes()
    assert after.startswith(text) and 1 <= after[len(text) :].strip().count(b"\n") + 1 <= 2  # the next, no old one


def test_the_function_not_the_module_is_named_sweep():
    assert implicitly.sweep is sweep
    code = """
import importlib, sys
for first in ("implicitly.sweeps", "implicitly.chance", "implicitly"):
    for name in [name for name in sys.modules if name.split(".")[0] == "implicitly"]:
        del sys.modules[name]
    importlib.import_module(first)
    from implicitly import sweep
    sweep(lambda a, seed: {"v": a}, {"a": [1]}, progress=False)
    import implicitly.sweeps
    assert implicitly.sweep is sweep is implicitly.sweeps.sweep
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(function=3), TypeError, "function must be callable, found int"),
        (dict(grid=[1]), TypeError, "grid must map names to values, found list"),
        (dict(grid={"a": 1}), TypeError, r"grid\['a'\] must be a list of values, found int"),
        (dict(grid={"a": "xy"}), TypeError, "must be a list of values, found str"),
        (dict(grid={"a": []}), ValueError, r"grid\['a'\] must hold at least one value, found none"),
        (dict(grid={"a": [1, 1]}), ValueError, r"must hold each value once, found \[1, 1\]"),
        (dict(grid={"a": [float("nan")]}), ValueError, "must hold finite numbers"),
        (dict(grid={"a": [object()]}), TypeError, "must hold scalars, found object"),
        (dict(grid={"a": [1], "seed": [1]}), ValueError, "give seeds="),
        (dict(grid={1: [1]}), TypeError, "grid must map names to values, found the key 1"),
        (dict(grid={"a": np.eye(2)}), ValueError, r"grid\['a'\] must be a list of values, found shape \(2, 2\)"),
        (dict(seeds=[0.5]), TypeError, r"seeds\[0\] must be a whole number, found float 0.5"),
        (dict(seeds=[True]), TypeError, r"seeds\[0\] must be a whole number, found bool"),
        (dict(seeds=3), TypeError, "seeds must be a list of values, found int"),
        (dict(progress="no"), TypeError, "progress must be True or False, found str"),
        (dict(n_jobs=0), ValueError, "n_jobs must be a number of processes"),
        (dict(n_jobs=1.5), TypeError, "n_jobs must be a whole number, found float"),
        (dict(results=3), TypeError, "results must be the path of a file, found int"),
        (dict(results="."), ValueError, "results must be a file in a folder that exists"),
        (dict(results="no/such/file"), ValueError, "results must be a file in a folder that exists"),
        (dict(version=1.5), TypeError, "version must be a string or a whole number, found float"),
        (dict(seeds=[]), ValueError, "seeds must hold at least one value, found none"),
        (dict(function=lambda a, seed: 3), SweepError, "must return a dict of scalars, found int"),
        (dict(function=lambda a, seed: {"a": 3}), SweepError, "'a', which is also a parameter"),
        (dict(function=lambda a, seed: {"v": [1, 2]}), SweepError, "the result 'v' must hold scalars, found list"),
        (dict(function=lambda a, seed: {f"v{a}": 1}), ValueError, "the same names at every point"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        quiet(**{"function": lambda a, seed: {"v": a}, "grid": {"a": [1, 2]}, **arguments})


def test_the_bar_counts_what_is_done(tmp_path, capsys):
    file = tmp_path / "r.jsonl"
    sweep(work, {"a": [1, 2], "b": ["x"]}, results=file)
    sweep(work, {"a": [1, 2, 3], "b": ["x"]}, results=file)
    assert "2/2" in (err := capsys.readouterr().err) and "3/3" in err


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        yield client


def test_the_same_sweep_on_a_dask_cluster(cluster):
    here = quiet(work, GRID, seeds=[0, 1])
    with joblib.parallel_config("dask"):
        there = quiet(work, GRID, seeds=[0, 1])
    assert there == here


def test_a_worker_killed_in_the_middle_loses_nothing(cluster, tmp_path):
    file, folder = tmp_path / "r.jsonl", tmp_path / "calls"
    folder.mkdir()
    run = functools.partial(logged, folder=str(folder), pause=0.2)
    cluster_processes, at_the_kill = set(cluster.run(os.getpid).values()), []

    def kill_in_the_middle():
        while not file.exists() or len(file.read_text().splitlines()) < 6:
            time.sleep(0.02)
        at_the_kill.extend(json.loads(line)["values"]["process"] for line in file.read_text().splitlines()[:6])
        os.kill(at_the_kill[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_in_the_middle, daemon=True)  # or a sweep that fails early would wait for it
    killer.start()
    with joblib.parallel_config("dask"):
        table = quiet(run, {"a": list(range(30))}, results=file)
    killer.join()
    assert at_the_kill[0] in cluster_processes and at_the_kill[0] not in cluster.run(os.getpid).values()
    assert [row["square"] for row in table] == [a * a for a in range(30)]
    assert at_the_kill[0] in [row["process"] for row in table]  # the killed worker had done some of it
    written = [json.loads(line)["point"]["a"] for line in file.read_text().splitlines()]
    assert sorted(written) == list(range(30))  # each once
    assert quiet(run, {"a": list(range(30))}, results=file) == table
