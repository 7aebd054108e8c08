"""A second opinion: the package kaczmarz-algorithms runs tasks of rank one in the same orders to the same iterates.

`make test-peers` installs it; without it these tests are skipped.
"""

import numpy as np
import pytest
import torch

from implicitly.continual import Tasks, cyclic_order, learn

kaczmarz = pytest.importorskip("kaczmarz", reason="needs kaczmarz-algorithms: make test-peers")

F64 = torch.float64
STEPS = 60


@pytest.fixture(autouse=True)
def numpys_generator():
    """The peer draws from numpy's global generator, which other tests must find as it was."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)


def system(seed, T=12, d=9):
    """T equations in d unknowns with rows of different lengths, and a solution."""
    g = torch.Generator().manual_seed(seed)
    A = torch.randn(T, d, generator=g, dtype=F64) * torch.rand(T, 1, generator=g, dtype=F64).add(0.1)
    return A, A @ torch.randn(d, generator=g, dtype=F64)


def theirs(kind, A, b):
    """Orders and iterates of the peer, from 0."""
    rows, iterates = [], []
    solver = kind.iterates(A.numpy(), b.numpy(), tol=None, maxiter=STEPS)
    for x in solver:
        iterates.append(torch.from_numpy(np.array(x)))
        rows.append(int(solver.ik))
    return torch.tensor(rows[1:])[None], torch.stack(iterates)


def ours(A, b, **arguments):
    """Orders and iterates of `learn` with weights and labels, step by step."""
    tasks = Tasks([row[None] for row in A], [one[None] for one in b])
    order = learn(tasks, data=True, **arguments).order
    return order, torch.stack([learn(tasks, order=order[:, :t], data=True).last[0] for t in range(STEPS + 1)])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["MaxDistance", "Cyclic", "Random"])
def test_same_orders_and_iterates(kind, seed, agrees):
    np.random.seed(seed)
    A, b = system(seed)
    order, iterates = theirs(getattr(kaczmarz, kind), A, b)
    assert iterates.shape == (STEPS + 1, 9)
    asked = {
        "MaxDistance": dict(rule="distance", repetition=True, steps=STEPS),
        "Cyclic": dict(order=cyclic_order(12, STEPS)),
        "Random": dict(order=order),  # the peer's own draws
    }
    found, mine = ours(A, b, **asked[kind])
    assert torch.equal(found, order)
    worst = (mine - iterates).abs().max()
    # Sixty steps, none of which makes an error longer; each adds a few roundings of numbers below ten.
    if kind == "MaxDistance":
        agrees(claim="greedy-orderings/C7", peer="kaczmarz-algorithms", what="weights after each of sixty greedy steps",
               measured=worst, at_most=1e-12)  # fmt: skip
    else:
        agrees(claim="random-orderings/C1", peer="kaczmarz-algorithms", what="weights after each of sixty given steps",
               measured=worst, at_most=1e-12)  # fmt: skip


def test_the_comparison_sees_another_rule():
    """The task of largest residual is another one, since rows differ in length."""
    A, b = system(0)
    order, _ = theirs(kaczmarz.MaxDistance, A, b)
    assert not torch.equal(ours(A, b, rule="residual", repetition=True, steps=STEPS)[0], order)
