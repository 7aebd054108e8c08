"""Runs over tasks: against the steps done literally, with and without w*, in every order."""

import itertools

import numpy as np
import pytest
import torch

from implicitly.continual import (
    Tasks,
    all_orders,
    cyclic_order,
    digit_tasks,
    equicorrelated_lines,
    fan_tasks,
    forgetting,
    greedy_share,
    learn,
    orthogonal_tasks,
    random_orders,
    random_tasks,
    run_tasks,
    shuffle_after,
    task_distances,
    task_losses,
)

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def some(seed=0, T=5, d=8, r=3):
    return random_tasks(T, d, r, generator=rng(seed))


def literally(w, X, y, filter, strength, gamma):
    """One step as its definition says, in numpy."""
    w, X, y = w.numpy(), X.numpy(), y.numpy()
    if filter == "projection":  # the nearest interpolant
        w = w + np.linalg.lstsq(X, y - X @ w, rcond=None)[0]
    elif filter == "ridge":  # min |X w - y|^2 + lam |w - w'|^2, as augmented least squares
        root = np.sqrt(strength)
        w = np.linalg.lstsq(np.vstack([X, root * np.eye(X.shape[1])]), np.concatenate([y, root * w]), rcond=None)[0]
    else:  # N gradient steps on |X w - y|^2 / 2
        for _ in range(int(strength)):
            w = w - gamma * X.T @ (X @ w - y)
    return torch.from_numpy(w)


FILTERS = {
    "projection": dict(),
    "ridge": dict(filter="ridge", strength=[0.3, 1.0, 0.1, 2.0, 0.5, 0.0]),
    "budget": dict(filter="budget", strength=[9, 5, 5, 3, 1, 1], gamma=0.8),
}


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("data", [False, True])
def test_steps_are_what_their_names_say(kind, data):
    tasks, order = some(), [0, 3, 1, 3, 4, 2]
    found = learn(tasks, order=torch.tensor([order]), data=data, **FILTERS[kind])
    w, size, lengths = tasks.start, tasks.error.square().sum(), []
    for t, m in enumerate(order):
        before = w
        strength = FILTERS[kind].get("strength", [None] * 6)[t]
        # a ridge of strength 0 is its limit, the projection
        step = "projection" if strength == 0 else kind
        w = literally(w, tasks.X[m], tasks.y[m], step, strength, FILTERS[kind].get("gamma"))
        lengths.append((w - before).square().sum() / size)
    # a least squares of 3 + 8 rows and a condition below 1e3, six times: far below 1e-12
    torch.testing.assert_close(found.last[0] + (0 if data else tasks.solution), w, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.steps[0], torch.stack(lengths), rtol=0, atol=1e-12)
    loss = sum((x @ w - v).square().sum() for x, v in zip(tasks.X, tasks.y, strict=True)) / tasks.T
    assert found.loss.item() == pytest.approx((loss / (tasks.R**2 * size)).item(), abs=1e-13)


FAMILIES = {
    "isotropic": some,
    "anisotropic": lambda: random_tasks(6, 9, 2, condition=1e3, generator=rng(1)),
    "fan": lambda: fan_tasks(7, tilt=0.3),
    "orthogonal": lambda: orthogonal_tasks(5),
    "equicorrelated": lambda: equicorrelated_lines(5),
    "digits": lambda: digit_tasks(5, n=6, features=40),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", FILTERS)
def test_with_and_without_the_solution(family, kind):
    tasks = FAMILIES[family]()
    arguments = dict(FILTERS[kind])
    if "strength" in arguments:
        arguments["strength"] = torch.tensor(arguments["strength"]).double().repeat_interleave(20)
    order = random_orders(tasks.T, 120, replacement=True, runs=4, generator=rng(5))
    one, two = (learn(tasks, order=order, record=range(0, 121, 10), data=data, **arguments) for data in (False, True))
    # Each step rounds weights of size |w*| + |w_0|; projections do not amplify what 120 steps add.
    size = (tasks.solution.norm() + tasks.start.norm() + tasks.error.norm()).item()
    shift = tasks.shift.abs().max().item()
    tolerance = 120 * 1e-15 * (size + shift) / tasks.error.norm().item() * 20
    torch.testing.assert_close(one.last + tasks.solution, two.last, rtol=0, atol=tolerance * tasks.error.norm().item())
    torch.testing.assert_close(one.loss.sqrt(), two.loss.sqrt(), rtol=0, atol=tolerance)
    torch.testing.assert_close(one.steps.sqrt(), two.steps.sqrt(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("rule", ["distance", "residual", "nearest"])
@pytest.mark.parametrize("repetition", [False, True])
def test_greedy_against_a_plain_loop(rule, repetition):
    """By pseudo-inverses and labels: the farthest task is the one with the longest ``X^+ (y - X w)``."""
    for seed in range(4):
        tasks = random_tasks(8, 20, 3, condition=50.0, generator=rng(seed))
        steps = 8 if not repetition else 15
        if rule == "nearest" and repetition:
            steps = 1  # from then on the nearest task is the one just learned, at distance 0
        w, left, order = tasks.start, list(range(8)), []
        for _ in range(steps):
            behind = [v - x @ w for x, v in zip(tasks.X, tasks.y, strict=True)]
            moves = [torch.linalg.pinv(x) @ b for x, b in zip(tasks.X, behind, strict=True)]
            key = [(b if rule == "residual" else m).norm().item() for b, m in zip(behind, moves, strict=True)]
            best = (min if rule == "nearest" else max)(left, key=key.__getitem__)
            others = [abs(key[m] - key[best]) for m in left if m != best]
            assert not others or min(others) > 1e-9, "a tie would be decided by rounding"
            order.append(best)
            left = left if repetition else [m for m in left if m != best]
            w = w + moves[best]
        for data in (False, True):
            found = learn(tasks, rule=rule, repetition=repetition, steps=steps, data=data)
            assert found.order.tolist() == [order]
        torch.testing.assert_close(found.last[0], w, rtol=0, atol=1e-11)


def test_ties_go_to_the_lowest_index():
    """On numbers that are equal to the last bit, as the ties of duplicated tasks are."""
    basis = torch.eye(6, dtype=F64)[:, None]
    e, s2 = torch.ones(1, 6, dtype=F64), torch.ones(6, 1, dtype=F64)
    for rule in ("distance", "residual", "nearest"):
        assert run_tasks(e, basis, s2, rule=rule).order.tolist() == [[0, 1, 2, 3, 4, 5]]
    twice = torch.cat([basis[3:], basis[3:]])
    assert run_tasks(e, twice, s2, rule="distance").order.tolist() == [[0, 1, 2, 3, 4, 5]]
    # With repetition a solved task scores 0, and when all do, the first is taken.
    again = run_tasks(e, basis, s2, rule="distance", repetition=True, steps=8)
    assert again.order.tolist() == [[0, 1, 2, 3, 4, 5, 0, 0]]


def test_many_trajectories_are_each_alone():
    tasks = some()
    e = torch.randn(6, 8, generator=rng(2), dtype=F64)
    for arguments in (dict(rule="distance"), dict(rule="residual", repetition=True, steps=9),
                      dict(order=random_orders(5, 7, replacement=True, runs=6, generator=rng(1)))):  # fmt: skip
        together = run_tasks(e, tasks.basis, tasks.s2, record=[0, 3, 5], **arguments)
        for b in range(6):
            if "order" in arguments:
                arguments = arguments | {"order": together.order[b : b + 1]}
            alone = run_tasks(e[b : b + 1], tasks.basis, tasks.s2, record=[0, 3, 5], **arguments)
            assert torch.equal(together.order[b], alone.order[0])
            for name in ("last", "steps", "loss"):
                torch.testing.assert_close(getattr(together, name)[b], getattr(alone, name)[0], rtol=0, atol=1e-13)


def test_steps_and_distance_left_add_up():
    tasks = some(T=20, d=15)
    for arguments in (dict(rule="distance"), dict(rule="nearest"), dict(order=cyclic_order(20, 60))):
        found = learn(tasks, **arguments)
        left = found.last.square().sum() / tasks.error.square().sum()
        assert (found.steps.sum() + left).item() == pytest.approx(1, abs=1e-13)


def test_distance_and_residual_agree_on_orthonormal_rows():
    for seed in range(5):
        rows = torch.linalg.qr(torch.randn(10, 12, 4, generator=rng(seed), dtype=F64)).Q.mT
        tasks = Tasks(rows.unbind(), (rows @ torch.randn(12, generator=rng(9), dtype=F64)).unbind())
        assert torch.equal(learn(tasks, rule="distance").order, learn(tasks, rule="residual").order)
    skewed = random_tasks(10, 12, 4, condition=1e3, generator=rng())
    assert not torch.equal(learn(skewed, rule="distance").order, learn(skewed, rule="residual").order)


def test_scores_losses_and_forgetting():
    tasks = some()
    w = torch.randn(3, 8, generator=rng(4), dtype=F64)
    losses = task_losses(w, tasks.basis, tasks.s2, shift=tasks.shift)
    for m, (x, v) in enumerate(zip(tasks.X, tasks.y, strict=True)):
        torch.testing.assert_close(losses[:, m], (w @ x.T - v).square().sum(1), rtol=1e-12, atol=0)
        apart = (w @ x.T - v) @ torch.linalg.pinv(x).T
        torch.testing.assert_close(task_distances(w, tasks.basis, shift=tasks.shift)[:, m], apart.square().sum(1),
                                   rtol=1e-12, atol=0)  # fmt: skip
    order = torch.tensor([[0, 0, 4], [1, 2, 3], [2, 2, 2]])
    expected = torch.stack([losses[b, order[b]].mean() for b in range(3)])
    torch.testing.assert_close(forgetting(w, tasks.basis, tasks.s2, order, shift=tasks.shift), expected)


def test_dtypes_sizes_and_forms_of_numbers():
    tasks, order = some(), random_orders(5, 30, replacement=True, runs=2, generator=rng())
    e = tasks.error.expand(2, -1)
    double = run_tasks(e, tasks.basis, tasks.s2, order=order, filter="ridge", strength=0.5, record=[30])
    single = [x.float() for x in (e, tasks.basis, tasks.s2)]
    single = run_tasks(*single, order=order.int(), filter="ridge", strength=0.5)
    assert {t.dtype for t in (double.last, double.steps, double.loss)} == {F64}
    assert {t.dtype for t in (single.last, single.steps, single.loss)} == {torch.float32}
    assert double.order.dtype == single.order.dtype == torch.int64
    # 30 steps that each round by 1e-7 of the start's length, and losses that are squares
    torch.testing.assert_close(single.loss.double().sqrt(), double.loss.sqrt(), rtol=0, atol=1e-5)
    # the literal steps show that float64 is not passed through float32; this, that its last digits are not zeros
    assert not torch.equal(double.last, double.last.float().double())
    none = run_tasks(e[:0], tasks.basis, tasks.s2, rule="distance")
    assert none.last.shape == (0, 8) and none.order.shape == (0, 5) and none.loss.shape == (0, 1)
    still = run_tasks(e, tasks.basis, tasks.s2, order=order[:, :0])
    assert torch.equal(still.last, e) and still.order.shape == (2, 0) and still.loss.shape == (2, 1)
    assert learn(tasks, rule="distance", steps=np.int64(3), record=np.array([3])).order.shape == (1, 3)


def test_orders():
    assert cyclic_order(3, 7).tolist() == [[0, 1, 2, 0, 1, 2, 0]]
    assert all_orders(3).tolist() == [list(p) for p in itertools.permutations(range(3))]
    decks = random_orders(4, 4, replacement=False, runs=4800, generator=rng())
    assert torch.equal(decks.sort(1).values, torch.arange(4).expand(4800, 4))
    counts = torch.unique(decks, dim=0, return_counts=True)[1]
    assert len(counts) == 24
    # chi^2 with 23 degrees of freedom exceeds 75 once in a million
    assert ((counts - 200.0).square() / 200).sum() < 75
    drawn = random_orders(4, 4800, replacement=True, generator=rng())
    assert ((torch.bincount(drawn[0]) - 1200.0).square() / 1200).sum() < 31  # 3 degrees, once in a million
    with pytest.raises(ValueError, match="k must be at most 4, found 5"):
        random_orders(4, 5, replacement=False, generator=rng())


def test_hybrid_order():
    order = torch.arange(8).expand(200, 8).clone()
    keep = torch.arange(200) % 9
    mixed = shuffle_after(order, keep, generator=rng())
    for b in range(200):
        assert mixed[b, : keep[b]].tolist() == list(range(keep[b]))
    assert torch.equal(mixed.sort(1).values, order)
    whole = mixed[keep == 0]
    assert len({tuple(row) for row in whole.tolist()}) > 10  # shuffled, not merely kept
    steps = torch.tensor([[0.5, 0.3, 0.1, 0.2], [0.05, 0.9, 0.9, 0.9], [0.2, 0.2, 0.2, 0.2]], dtype=F64)
    assert greedy_share(steps, 0.2).tolist() == [2, 0, 4]


@pytest.mark.parametrize("more, match", [
    (dict(), "exactly one of order and rule, found none"),
    (dict(order=torch.zeros(1, 2, dtype=torch.int64), rule="distance"), "exactly one of order and rule, found both"),
    (dict(order=torch.full((1, 2), 5)), "order must be at least 0 and at most 4, found 5"),
    (dict(order=torch.zeros(2, 2, dtype=torch.int64)), "order must have a row for each row of e, 1, found 2"),
    (dict(rule="distance", steps=6), "steps must be at most 5, found 6"),
    (dict(rule="distance", repetition=True), "steps must be given with repetition"),
    (dict(rule="farthest"), "rule must be one of"),
    (dict(rule="distance", filter="ridge"), "strength must be given"),
    (dict(rule="distance", filter="ridge", strength=[1.0, 2.0]), r"strength must be a number or have shape \(5,\)"),
    (dict(rule="distance", filter="budget", strength=3, gamma=1.5), "gamma must be finite and above 0 and at most 1"),
    (dict(rule="distance", record=[6]), r"record\[0\] must be at most 5, found 6"),
])  # fmt: skip
def test_bad_input(more, match):
    tasks = some()
    with pytest.raises(ValueError, match=match):
        run_tasks(tasks.error[None], tasks.basis, tasks.s2, **more)
