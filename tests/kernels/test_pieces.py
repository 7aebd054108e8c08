"""Long runs of the compiled CPU path return to Python now and then, and nobody sees it in the results."""

import signal
import threading
import time
from contextlib import contextmanager

import pytest
import torch

from implicitly_kernels import (
    Polynomial,
    TanhNet,
    _checks,
    _threads,
    langevin,
    mxfp4_qdq,
    nvfp4_dequantize,
    nvfp4_quantize,
    perm_gd,
    relu_flow,
    relu_gd,
    sign_nets,
)

F64 = torch.float64


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def run_perm_gd(steps=5):
    return perm_gd(normal(3, 3, 2), normal(3, 4, 2, seed=1), torch.zeros(3, 4, dtype=torch.int64), steps,
                   normalized=torch.full((3,), 0.5), backend="numba")  # fmt: skip


def run_relu_gd(steps=5):
    w = normal(3, 3, 4)
    return relu_gd(*w, normal(3, seed=1), normal(3, 5, seed=2), normal(3, 5, seed=3), torch.full((3,), 0.1), steps,
                   backend="numba")  # fmt: skip


def run_relu_flow(steps=5, method="heun", save_every=2, particles=1030):
    return relu_flow(normal(particles, 3), torch.eye(3)[:2], torch.ones(2), torch.full((steps + 1,), 0.1),
                     torch.full((steps,), 0.1), method=method, save_every=save_every, backend="numba")  # fmt: skip


def run_langevin(steps=5, net=True, **mode):
    x, y = normal(4, 2, seed=1), torch.tensor([0.0, 1.0, 1.0, 0.0])
    potential = TanhNet(x, y, 2) if net else Polynomial(0.1 * normal(6, 5).abs())
    return langevin(normal(600, 6).tanh(), potential, beta=3.0, eta=0.02, steps=steps, seed=3,
                    backend="numba", **(mode or {"prior_var": 1.0}))  # fmt: skip


def run_sign_nets(n_nets=5000):
    x = normal(4, 6) > 0
    return sign_nets(x, x[:, 0], (6, 2, 1), n_nets, keep=40, start=7, backend="numba")


def run_fp4(rows=700):
    x = normal(rows, 64)
    codes, scales = nvfp4_quantize(x, rounding="sr", backend="numba")
    return mxfp4_qdq(x, rounding="sr", backend="numba"), codes, scales, nvfp4_dequantize(codes, scales, backend="numba")


RUNS = {
    "perm_gd": run_perm_gd,
    "relu_gd": run_relu_gd,
    "relu_flow heun": run_relu_flow,
    "relu_flow euler": lambda: run_relu_flow(method="euler", save_every=0),
    "langevin net": run_langevin,
    "langevin box": lambda: run_langevin(net=False, box=1.0),
    "langevin mala": lambda: run_langevin(net=False, box=1.0, metropolis=True),
    "langevin no steps": lambda: run_langevin(steps=0),
    "sign_nets": run_sign_nets,
    "fp4": run_fp4,
}


def flat(out):
    return [out] if isinstance(out, torch.Tensor) else out


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("piece", [1, 10**5, 10**6])
def test_pieces_change_no_bit(monkeypatch, name, piece):
    whole, taken = flat(RUNS[name]()), []
    pieces = _threads.pieces
    monkeypatch.setattr(_threads, "PIECE", piece)
    monkeypatch.setattr(_threads, "pieces", lambda *a: (taken.append(p) or p for p in pieces(*a)))
    for one, two in zip(whole, flat(RUNS[name]()), strict=True):
        assert torch.equal(one, two)
    assert len(taken) > 2 or piece > 1


@pytest.mark.parametrize("name", RUNS)
def test_threads_change_no_bit(monkeypatch, name):
    monkeypatch.setattr(_threads, "WORTH", 1)
    monkeypatch.setattr(_threads, "PIECE", 10**5)
    results, began, pieces = [], [], _threads.pieces
    monkeypatch.setattr(_threads, "pieces", lambda *a: began.append(a[0]) or pieces(*a))
    for threads in ("1", "3"):
        began.clear()
        monkeypatch.setenv("IMPLICITLY_THREADS", threads)
        results.append(flat(RUNS[name]()))
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two)
    assert len(set(began)) > 1, "no thread but the first has work"


def test_the_number_of_threads(monkeypatch):
    monkeypatch.delenv("IMPLICITLY_THREADS", raising=False)
    assert _threads.count() == torch.get_num_threads()
    monkeypatch.setenv("IMPLICITLY_THREADS", "7")
    assert _threads.count() == 7
    for wrong in ("0", "-1", "two", "1.5", "²"):
        monkeypatch.setenv("IMPLICITLY_THREADS", wrong)
        with pytest.raises(ValueError, match=f"IMPLICITLY_THREADS: expected a whole number .*, got '{wrong}'"):
            _threads.count()


@pytest.mark.parametrize(("work", "threads"), [(1, 1), (_threads.WORTH // 8, 1), (_threads.WORTH // 4, 2), (10**9, 8)])
def test_little_work_stays_on_one_thread(monkeypatch, work, threads):
    monkeypatch.setenv("IMPLICITLY_THREADS", "8")
    calls, together = [], threading.Barrier(threads, timeout=60)  # no thread goes on before all are there
    _threads.share(lambda *ends: (together.wait(), calls.append(ends[:2])), 8, work=work)
    assert sorted(calls)[0][0] == 0 and sorted(calls)[-1][1] == 8


@pytest.mark.parametrize(("first", "last", "steps", "work"), [
    (0, 0, 5, 3), (0, 7, 0, 3), (0, 7, 0, 10**6), (2, 9, 5, 3), (2, 9, 5, 10**6), (0, 3, 100, 30), (0, 100, 1, 0),
    (0, 10**12, 1, 10),
])  # fmt: skip
def test_pieces_cover_everything_once_and_in_order(monkeypatch, first, last, steps, work):
    monkeypatch.setattr(_threads, "PIECE", 100)
    if last > 10**6:
        assert next(_threads.pieces(first, last, steps, work)) == (0, 10, 0, 1)
        return
    seen = []
    for a, b, begin, end in _threads.pieces(first, last, steps, work):
        assert b - a == 1 or (begin, end) == (0, steps)  # several items run all their steps
        assert work * (b - a) * max(1, end - begin) <= 100 or (b - a) * max(1, end - begin) == 1
        seen += [(item, step) for item in range(a, b) for step in range(begin, end)] if steps else [*range(a, b)]
    every = [(item, step) for item in range(first, last) for step in range(steps)]
    assert seen == (every if steps else [*range(first, last)])


@contextmanager
def interrupted(after):
    """KeyboardInterrupt after so many seconds of this process's own time, as Ctrl-C gives it."""

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, after)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("long", [
    lambda: run_perm_gd(10**9), lambda: run_relu_gd(10**9), lambda: run_langevin(10**9),
    lambda: run_relu_flow(300_000, save_every=0, particles=100_000), lambda: run_sign_nets(2**45),
], ids=["perm_gd", "relu_gd", "langevin", "relu_flow", "sign_nets"])  # fmt: skip
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_is_answered_within_a_second(long, threads):
    """Of the process's own time, so that other jobs on the machine do not count."""
    before = torch.get_num_threads()
    run_perm_gd(), run_relu_gd(), run_langevin(), run_sign_nets(), run_relu_flow(save_every=0)  # compiled
    torch.set_num_threads(threads)
    start = time.process_time()
    try:
        with interrupted(after=0.2):
            long()
    finally:
        torch.set_num_threads(before)
    assert time.process_time() - start < 0.2 + 1.0 * threads
    assert threading.active_count() <= 2  # no thread of ours goes on


def test_an_error_in_one_thread_ends_the_others(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    done = []

    def part(first, last, begin, end):
        if first >= 500_000:
            raise ZeroDivisionError
        done.append(last)
        time.sleep(1e-4)

    with pytest.raises(ZeroDivisionError):
        _threads.share(part, 1_000_000, work=_threads.PIECE)
    assert len(done) < 100_000


def test_long_items_wait_for_no_thread(monkeypatch):
    """Of three long items each of two threads has half the pieces, and the pieces of an item follow each other."""
    monkeypatch.setenv("IMPLICITLY_THREADS", "2")
    done, together = [], threading.Barrier(2, timeout=60)

    def part(first, last, begin, end):
        together.wait()  # neither thread takes a piece more than the other
        done.append((first, last, begin, end))

    _threads.share(part, 3, steps=4, work=_threads.PIECE, anywhere=True)
    assert len(done) == 12
    for item in range(3):
        assert [piece[1:] for piece in done if piece[0] == item] == [(item + 1, t, t + 1) for t in range(4)]


def test_checks_that_hold_together_name_the_first_that_does_not():
    x, y = torch.tensor([1.0, -2.0]), torch.tensor([1.0, torch.nan])
    positive = (x > 0, _checks.refusal(lambda: f"x: expected numbers > 0, got {x.min().item()}"))
    _checks.hold(("x", x), (x < 2, _checks.refusal(lambda: "never said")), ("empty", x[:0]))
    with pytest.raises(ValueError, match=r"x: expected numbers > 0, got -2\.0"):
        _checks.hold(("x", x), positive, ("y", y))
    with pytest.raises(ValueError, match=r"y: expected finite values, got nan at \(1,\)"):
        _checks.hold(("x", x), ("y", y), positive)
    with pytest.raises(RuntimeError, match="nothing to say"):
        _checks.hold((x > 0, lambda: None))
