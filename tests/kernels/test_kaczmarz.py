"""Block Kaczmarz: each task solved by its own matrix in float64, ties, drift, memory, bad input."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kaczmarz_oracle import F32, F64, LARGE, SMALL, check, drift, problem
from lanes import relative_error

import implicitly_kernels as ik
from implicitly_kernels import kaczmarz
from implicitly_kernels.kaczmarz import _DISPATCH


@pytest.fixture(params=(True, False), ids=("products", "fresh"))
def paths(request, monkeypatch):
    """Both ways in which numba scores tasks."""
    numba = pytest.importorskip("implicitly_kernels.kaczmarz._numba")
    monkeypatch.setattr(numba, "_products_pay", lambda *_: request.param)


@pytest.mark.parametrize("dtype", (F64, F32))
def test_against_each_task_solved_by_itself(lane, dtype, monkeypatch):
    backend, device = lane
    shapes = SMALL if (backend, device) == ("triton", "cpu") else LARGE
    for pay in (True, False)[:2 if backend == "numba" else 1]:
        if backend == "numba":
            module = sys.modules[_DISPATCH.load("numba").__module__]
            monkeypatch.setattr(module, "_products_pay", lambda *_, pay=pay: pay)
        check(lambda **kw: kaczmarz(**kw, backend=backend), dtype, device, shapes)


def test_errors_and_weights_are_the_same_run(lane):
    backend, device = lane
    p, _ = problem(3, 5, 2, 13)
    solution = torch.linalg.lstsq(p["basis"].reshape(-1, 13), p["shift"].reshape(-1)).solution
    p = {name: v.to(device) for name, v in p.items()}
    shift, solution = p.pop("shift"), solution.to(device)
    for how in ({"order": torch.tensor([[0, 3, 1]] * 3, dtype=torch.int32, device=device)}, {"rule": "distance"}):
        w = kaczmarz(p["e"] + solution, p["basis"], p["s2"], shift=shift, **how, backend=backend)
        e = kaczmarz(**p, **how, backend=backend)
        assert torch.equal(w[1], e[1]) and w[1].dtype == torch.int64
        assert relative_error(w[0] - solution, e[0]) < 1e-12
        assert relative_error(w[2], e[2]) < 1e-12 and relative_error(w[3], e[3]) < 1e-12


def test_ties_go_to_the_lowest_index(lane, paths):
    """Axes with equal errors, and tasks that are the same: the order is 0, 1, 2, ..."""
    backend, device = lane
    d = 6
    V = torch.eye(d, dtype=F64)[:, None].repeat(2, 1, 1).to(device)  # each axis twice
    s2, e = torch.ones(2 * d, 1, dtype=F64, device=device), torch.ones(2, d, dtype=F64, device=device)
    for rule in ("distance", "residual"):
        taken = kaczmarz(e, V, s2, rule=rule, backend=backend)[1]
        assert taken[0].tolist() == list(range(2 * d))
    taken = kaczmarz(e, V, s2, rule="nearest", steps=d, backend=backend)[1]
    assert taken[0].tolist() == [0, d, 1, d + 1, 2, d + 2]
    p, _ = problem(4, 1, 3, 9)
    same = {"basis": p["basis"].expand(7, -1, -1), "s2": p["s2"].expand(7, -1)}
    taken = kaczmarz(p["e"].to(device), **{n: v.to(device) for n, v in same.items()}, rule="distance", steps=3,
                     backend=backend)[1]  # fmt: skip
    assert taken.tolist() == [[0, 1, 2]] * 4


def test_small_errors_order_as_large_ones_do(lane, paths):
    backend, device = lane
    drift(lambda *a, **kw: kaczmarz(*a, **kw, backend=backend), device)


def test_many_steps_do_not_wear_the_scores(paths):
    """200 steps by products that are computed afresh every 64: the greedy orders of the reference."""
    p, _ = problem(3, 220, 1, 300, seed=5)
    for rule in ("distance", "residual"):
        fast, slow = (kaczmarz(**p, rule=rule, steps=200, backend=b) for b in ("numba", "reference"))
        assert torch.equal(fast[1], slow[1])
        assert all(relative_error(fast[i], slow[i]) < 1e-11 for i in (0, 2, 3))


def test_shapes_views_and_empty(lane):
    backend, device = lane
    p, _ = problem(3, 5, 2, 13)
    p = {name: v.to(device) for name, v in p.items()}
    before = {name: v.clone() for name, v in p.items()}
    order = torch.tensor([[0, 4, 2], [1, 1, 3], [2, 0, 1]], device=device)
    for how in ({"order": order}, {"rule": "residual", "steps": 3}):
        go = lambda p, **more: kaczmarz(**p, **{**how, **more}, backend=backend)  # noqa: E731, B023
        want = go(p)
        assert all(torch.equal(p[name], before[name]) for name in p)
        assert all(v.is_contiguous() for v in want)
        strided = {name: torch.stack([v, v], -1)[..., 1] for name, v in p.items()}
        assert all(map(torch.equal, go(strided), want))
        assert tuple(go(p, record=[])[3].shape) == (3, 0)
        more = {"order": order[:0]} if "order" in how else {}
        empty = go({**p, "e": p["e"][:0]}, **more)
        assert [tuple(v.shape) for v in empty] == [(0, 13), (0, 3), (0, 3), (0, 1)]
        none = go(p, **({"order": order[:, :0]} if "order" in how else {"steps": 0}))
        assert torch.equal(none[0], p["e"]) and none[0].data_ptr() != p["e"].data_ptr()
        assert [tuple(v.shape) for v in none[1:]] == [(3, 0), (3, 0), (3, 1)] and (none[3] > 0).all()
    first = kaczmarz(**p, order=order[:, :1], backend=backend)
    second = kaczmarz(**{**p, "e": first[0]}, order=order[:, 1:], backend=backend)
    whole = kaczmarz(**p, order=order, backend=backend)
    assert torch.equal(second[0], whole[0]) and torch.equal(second[3], whole[3])


@pytest.mark.parametrize("rule", (None, "distance"))
def test_trajectories_do_not_see_each_other(fast_lane, rule):
    """A trajectory has the same bits in any batch, twice in a row, and however many threads there are."""
    backend, device = fast_lane
    B = 7
    p, _ = problem(B, 5, 2, 13)
    p = {name: v.to(device) for name, v in p.items()}
    order = torch.randint(5, (B, 4), generator=torch.Generator().manual_seed(1)).to(device)

    def go(a, b):
        how = {"rule": rule, "steps": 4} if rule else {"order": order[a:b]}
        return kaczmarz(**{**p, "e": p["e"][a:b]}, **how, record=[0, 2, 4], backend=backend)

    whole = go(0, B)
    assert all(map(torch.equal, go(0, B), whole))
    assert all(torch.equal(a, b[2:5]) for a, b in zip(go(2, 5), whole, strict=True))
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            assert all(map(torch.equal, go(0, B), whole))
    finally:
        torch.set_num_threads(threads)


def test_tile_sizes_agree(fast_lane):
    backend, device = fast_lane
    if backend != "triton":
        return
    p, _ = problem(2, 6, 2, 13)
    args = [v.to(device) for v in (*p.values(), torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, dtype=F64))]
    go = lambda **kw: _DISPATCH.load(backend)(*args, "distance", False, 3, "projection", 0.0, [3], **kw)  # noqa: E731
    want = go()
    for tasks in (1, 2, 8):
        assert all(relative_error(a, b) < 1e-14 for a, b in zip(go(tasks=tasks), want, strict=True))


def test_auto_runs_what_triton_does_not_take(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.delenv("IMPLICITLY_BACKEND", raising=False)
    args = {**problem(1, 2, 17, 70)[0], "order": torch.tensor([[0, 1]])}
    want = kaczmarz(**args, backend="reference")
    monkeypatch.setattr(_DISPATCH, "choose", lambda backend, device: "triton")  # as on a GPU
    assert all(map(torch.equal, kaczmarz(**args), want))
    with pytest.raises(ValueError, match="basis: the triton backend takes at most 2048 numbers a task"):
        kaczmarz(**args, backend="triton")


MEMORY = """
import torch
from implicitly_kernels import _jit, kaczmarz
torch.set_num_threads(1)
T, r, d, B = 1000, 10, 100, 1000
V = torch.linalg.qr(torch.randn(T, d, r, dtype=torch.float64)).Q.mT.contiguous()
e, s2 = torch.randn(B, d, dtype=torch.float64), torch.ones(T, r, dtype=torch.float64)
for backend in ("reference", "numba"):
    kaczmarz(e, V, s2, rule="distance", steps=1, backend=backend)
    kaczmarz(e, V, s2, order=torch.zeros(B, 2, dtype=torch.int64), backend=backend)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory as Linux tells it")
def test_a_thousand_trajectories_of_a_thousand_tasks_take_less_than_a_gigabyte():
    """The whole process with torch and numba in it; coordinates of all tasks in all trajectories alone are 80 MB."""
    said = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    assert int(said) * 1024 < 1e9


def test_opcheck_and_no_gradient(lane):
    backend, device = lane
    p, _ = problem(2, 3, 2, 7)
    e, V, s2, shift = (v.to(device) for v in p.values())
    order, none = torch.tensor([[0, 2], [1, 1]], device=device), torch.zeros(0, dtype=F64, device=device)
    for rule in ("", "distance"):
        given = order if not rule else order[:, :0]
        torch.library.opcheck(
            torch.ops.implicitly.kaczmarz.default,
            (e, V, s2, shift, given, none, rule, False, 2, "projection", 0.0, [0, 2], backend),
        )  # fmt: skip
    e.requires_grad_()
    with pytest.raises(NotImplementedError, match="kaczmarz: the run is not differentiable"):
        kaczmarz(e, V, s2, order=order, backend=backend)[3].sum().backward()


P = {**problem(2, 3, 2, 7)[0], "order": torch.tensor([[0, 2], [1, 1]])}
NAN = P["e"].clone()
NAN[1, 2] = math.nan
GREEDY = {"order": None, "rule": "distance"}
BUDGET = {"filter": "budget", "strength": 2, "gamma": 0.5}
BAD = [
    (TypeError, "e: expected a torch.Tensor, got list", {"e": [[1.0]]}),
    (TypeError, "e: expected dtype float32 or float64, got torch.float16", {"e": P["e"].half()}),
    (ValueError, r"e: expected finite values, got nan at \(1, 2\)", {"e": NAN}),
    (ValueError, "e: expected at least one column, got none", {"e": P["e"][:, :0]}),
    (ValueError, "e, s2, shift: expected squares in the range", {"e": P["e"] * 1e160}),
    (TypeError, "basis: expected dtype float64, got torch.float32", {"basis": P["basis"].float()}),
    (ValueError, r"basis: expected shape \(\*, \*, 7\), got \(3, 2, 6\)", {"basis": P["basis"][..., :6]}),
    (ValueError, "basis: expected at least one task and one row", {"basis": P["basis"][:0]}),
    (ValueError, "basis: expected orthonormal rows where s2 > 0, got products off by 3 in", {"basis": 2 * P["basis"]}),
    (ValueError, r"s2: expected shape \(3, 2\), got \(3, 1\)", {"s2": P["s2"][:, :1]}),
    (ValueError, "s2: expected squares >= 0, got -", {"s2": -P["s2"]}),
    (ValueError, r"shift: expected shape \(3, 2\), got \(2, 2\)", {"shift": P["shift"][:2]}),
    (ValueError, "order: expected tasks from 0 to 2, got 3", {"order": P["order"] + 1}),
    (ValueError, "order: expected tasks from 0 to 2, got -1", {"order": P["order"] - 1}),
    (TypeError, "order: expected dtype int64 or int32", {"order": P["order"].double()}),
    (ValueError, r"order: expected shape \(2, \*\), got \(1, 2\)", {"order": P["order"][:1]}),
    (ValueError, "order, rule: expected exactly one of them, got both", {"rule": "distance"}),
    (ValueError, "order, rule: expected exactly one of them, got none", {"order": None}),
    (ValueError, "rule: expected one of", {"order": None, "rule": "far"}),
    (TypeError, "repetition: expected True or False", {**GREEDY, "repetition": 1}),
    (ValueError, "repetition, steps: expected neither beside an order", {"steps": 2}),
    (ValueError, "steps: expected an int with repetition, got None", {**GREEDY, "repetition": True}),
    (ValueError, "steps: expected 0 <= steps <= 3, got 4", {**GREEDY, "steps": 4}),
    (ValueError, "filter: expected one of", {"filter": "cut"}),
    (ValueError, "strength: expected None for the filter 'projection', got 1.0", {"strength": 1.0}),
    (ValueError, "strength: expected a number or a tensor for the filter 'ridge', got None", {"filter": "ridge"}),
    (TypeError, "strength: expected a number or a tensor, got list", {"filter": "ridge", "strength": [1.0, 2.0]}),
    (ValueError, r"strength: expected shape \(2\), got \(3,\)", {"filter": "ridge", "strength": torch.ones(3)}),
    (ValueError, "strength: expected numbers from 0 to .* got -1", {"filter": "ridge", "strength": -1}),
    (ValueError, "strength: expected numbers from 1 to .* got 0", {**BUDGET, "strength": 0}),
    (ValueError, "strength: expected numbers from 0 to .* got nan", {"filter": "ridge", "strength": math.nan}),
    (ValueError, "gamma: expected None for the filter 'ridge', got 0.5", {**BUDGET, "filter": "ridge"}),
    (TypeError, "gamma: expected a number, got NoneType", {**BUDGET, "gamma": None}),
    (ValueError, r"gamma: expected at most 1 / max\(s2\) = .*, got 30.0", {**BUDGET, "gamma": 30.0}),
    (ValueError, r"record\[1\]: expected 0 <= record\[1\] <= 2, got 3", {"record": [0, 3]}),
    (TypeError, "record: expected a sequence of ints, got int", {"record": 2}),
    (ValueError, "backend: expected one of", {"backend": "cuda"}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    with pytest.raises(error, match=message):
        kaczmarz(**{**P, **change})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    p = {name: v.cuda() for name, v in problem(2000, 100, 3, 400)[0].items()}
    for how in ({"rule": "distance"}, {"order": torch.randint(100, (2000, 200), device="cuda")}):
        assert all(map(torch.equal, kaczmarz(**p, **how), kaczmarz(**p, **how)))
    assert ik.available_backends("cuda") == ["reference", "triton"]
