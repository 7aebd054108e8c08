"""Sweeps: order, resuming, damage, failures; and the same sweep on two worker processes of a Dask cluster."""

import functools
import json
import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
import torch

from implicitly.sweep import SweepError, Table, sweep

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
    return sweep(*args, progress=False, **kwargs)


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_rows_come_in_grid_order(n_jobs):
    table = quiet(work, GRID, seeds=[0, 7], n_jobs=n_jobs)
    assert [(row["a"], row["b"], row["seed"]) for row in table] == [
        (a, b, s) for a in GRID["a"] for b in GRID["b"] for s in (0, 7)
    ]
    assert all(row["value"] == row["a"] + 10 * row["seed"] for row in table)


def test_table():
    table = quiet(work, GRID, seeds=[0, 1, 2])
    assert isinstance(table.where(b="x"), Table)
    assert table.where(a=2, b="y").column("value") == [2, 12, 22]
    assert table.where(a=2, b="y").mean("value") == 12
    assert table.where(a=2, b="y").spread("value") == pytest.approx(10)
    assert table.where(a=2, b="y", seed=1).spread("value") == 0
    for bad in (lambda: table.where(c=1), lambda: table.column("c")):
        with pytest.raises(ValueError, match="no column 'c'; there are a, b, seed, value, label"):
            bad()
    with pytest.raises(ValueError, match="no rows"):
        table.where(a=99).mean("value")


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
    assert [json.loads(line)["point"]["a"] for line in file.read_text().splitlines()[1:]] == [1]


def test_a_failure_in_a_worker_names_the_point():
    with pytest.raises(SweepError, match=r"failed at \{'a': 2"):
        quiet(breaks_at_two, {"a": [1, 2, 3]}, n_jobs=2)


def test_a_torn_last_line_is_cut_off(tmp_path):
    file = tmp_path / "r.jsonl"
    whole = quiet(work, GRID, results=file)
    text = file.read_bytes()
    for cut in (1, 10, 40):
        file.write_bytes(text[:-cut])
        assert quiet(work, GRID, results=file) == whole
        assert sorted(file.read_bytes().splitlines()) == sorted(text.splitlines())


@pytest.mark.parametrize("damage", [b"{}\n", b"not json\n", b"[1, 2]\n", b'{"point": 3}\n'])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path, damage):
    file = tmp_path / "r.jsonl"
    quiet(work, GRID, results=file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + damage + b"".join(lines[1:]))
    before = file.read_bytes()
    with pytest.raises(ValueError, match="is not a file of this sweep"):
        quiet(work, GRID, results=file)
    assert file.read_bytes() == before


def test_a_file_of_another_function_or_version_is_refused(tmp_path):
    file = tmp_path / "r.jsonl"
    quiet(work, GRID, results=file)
    with pytest.raises(ValueError, match="belongs to work, not to breaks_at_two"):
        quiet(breaks_at_two, {"a": [1]}, results=file)
    with pytest.raises(ValueError, match="belongs to an earlier version of it"):
        quiet(functools.partial(work, scale=2), GRID, results=file)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(function=3), TypeError, "function must be callable, found int"),
        (dict(grid=[1]), TypeError, "grid must map names to values, found list"),
        (dict(grid={"a": 1}), TypeError, r"grid\['a'\] must be a list of values, found int"),
        (dict(grid={"a": "xy"}), TypeError, "must be a list of values, found str"),
        (dict(grid={"a": []}), ValueError, r"grid\['a'\] must not be empty"),
        (dict(grid={"a": [1, 1]}), ValueError, "holds a value twice"),
        (dict(grid={"a": [float("nan")]}), ValueError, "must hold finite numbers"),
        (dict(grid={"a": [object()]}), TypeError, "must hold scalars, found object"),
        (dict(grid={"a": [1], "seed": [1]}), ValueError, "give seeds="),
        (dict(seeds=[0.5]), TypeError, "seeds must be whole numbers, found 0.5"),
        (dict(seeds=[]), ValueError, "seeds must not be empty"),
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
    victim = next(iter(cluster.run(os.getpid).values()))
    at_the_kill = []

    def kill_in_the_middle():
        while not file.exists() or len(file.read_text().splitlines()) < 6:
            time.sleep(0.02)
        at_the_kill.append(len(file.read_text().splitlines()) - 1)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill_in_the_middle, daemon=True)  # or a sweep that fails early would wait for it
    killer.start()
    with joblib.parallel_config("dask"):
        table = quiet(run, {"a": list(range(30))}, results=file)
    killer.join()
    assert 5 <= at_the_kill[0] < 30  # it was in the middle
    assert [row["square"] for row in table] == [a * a for a in range(30)]
    assert victim in table.column("process")  # the killed worker had done some of it
    written = [json.loads(line)["point"]["a"] for line in file.read_text().splitlines()[1:]]
    assert sorted(written) == list(range(30))  # each once
    assert quiet(run, {"a": list(range(30))}, results=file) == table
