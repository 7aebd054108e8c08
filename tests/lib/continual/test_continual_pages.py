"""The page's lines are the library's tasks, learned in the library's way; its orders are orders."""

import itertools
import math

import numpy as np
import pytest
import torch

from implicitly import continual
from implicitly.continual.pages import fan
from implicitly_kernels import _rng

F64 = torch.float64


def unit(seed, count, draw):
    """Uniform numbers of 32 bits at the page's addresses."""
    return _rng.philox(seed, torch.arange(count), 0, draw)[0].double() / 2**32


def order_of(kind, T, seed):
    if kind == "in order":
        return list(range(T))
    share = unit(seed, T, 1).tolist()
    if kind == "drawn":
        return [int(u * T) for u in share]
    deck = list(range(T))
    for t, u in enumerate(share):
        at = t + int(u * (T - t))
        deck[t], deck[at] = deck[at], deck[t]
    return deck


def tasks_of(lines, T, seed):
    if lines == "even":
        return continual.fan_tasks(T)
    angles = unit(seed, T, 0).sort().values * math.pi / 2
    return continual.line_tasks(torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([1.0, 0.0], dtype=F64))


def settings():
    rng = np.random.default_rng(3)
    kinds = itertools.product(("even", "random"), ("in order", "shuffled", "drawn"))
    return [(*kind, int(rng.integers(2, 301)), int(rng.integers(2**31))) for kind in kinds for _ in range(3)]


def end(lines, order, T, seed):
    return continual.learn(tasks_of(lines, T, seed), order=torch.tensor([order]))


@pytest.mark.parametrize(("lines", "order", "T", "seed"), settings())
def test_it_learns_as_the_library_does(lines, order, T, seed):
    found = fan(lines=lines, order=order, T=T, seed=seed)
    chosen = order_of(order, T, seed)
    done = end(lines, chosen, T, seed)
    assert found["final"] == pytest.approx(done.loss.item(), rel=1e-9, abs=0)
    assert found["loss"][0] == found["final"]
    assert found["last"][0] == pytest.approx(done.last[0].numpy(), rel=1e-8, abs=1e-15)
    step = done.steps[0].sqrt().numpy()
    path = found["path"][0, : T + 1]
    assert np.linalg.norm(np.diff(path, axis=0), axis=1) == pytest.approx(step, rel=1e-6, abs=1e-15)
    assert np.isnan(found["path"][0, T + 1 :]).all() and np.isnan(found["ends"][T:]).all()
    assert (path[0] == [1, 0]).all()


def test_another_order_would_be_seen():
    found = fan(lines="even", order="shuffled", T=20, seed=4)["final"]
    swapped = order_of("shuffled", 20, 4)[::-1]
    assert found != pytest.approx(end("even", swapped, 20, 4).loss.item(), rel=0.01)


@pytest.mark.parametrize("order", ["shuffled", "drawn"])
def test_orders_are_uniform(order):
    firsts = np.zeros((5, 5))
    for seed in range(2000):
        for t, m in enumerate(order_of(order, 5, seed)):
            firsts[t, m] += 1
    assert np.abs(firsts / 2000 - 0.2).max() < 5 * math.sqrt(0.2 * 0.8 / 2000)


def test_a_shuffled_hundred_keeps_less_than_a_billionth():
    """What the chapter's question says, whatever new data the reader takes."""
    losses = [fan(lines=lines, order="shuffled", T=100, seed=s)["final"]
              for lines in ("even", "random") for s in range(200)]  # fmt: skip
    assert max(losses) < 1e-9
    assert all(fan(lines="random", order="in order", T=100, seed=s)["final"] > 0.3 for s in range(50))
