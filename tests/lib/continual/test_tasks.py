"""Collections of tasks: their decomposition, and what each family promises."""

import math

import numpy as np
import pytest
import torch

from implicitly.continual import (
    Tasks,
    angle_pair,
    equicorrelated_lines,
    fan_tasks,
    line_tasks,
    orthogonal_tasks,
    random_tasks,
)

F64 = torch.float64


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def ragged(seed=0):
    """Tasks of 1, 3 and 4 rows, the last of rank 2, in 6 dimensions, from a common teacher."""
    g = rng(seed)
    w = torch.randn(6, generator=g, dtype=F64)
    X = [torch.randn(n, 6, generator=g, dtype=F64) for n in (1, 3)]
    X.append(torch.randn(4, 2, generator=g, dtype=F64) @ torch.randn(2, 6, generator=g, dtype=F64))
    return X, [x @ w for x in X]


def test_decomposition_is_that_of_each_matrix():
    X, y = ragged()
    tasks = Tasks(X, y)
    assert tasks.ranks.tolist() == [1, 3, 2] and tasks.mean_rank == 2.0 and (tasks.T, tasks.d) == (3, 6)
    assert tasks.basis.shape == (3, 3, 6) and tasks.basis.dtype == tasks.s2.dtype == F64
    for m, x in enumerate(X):
        V, s2 = tasks.basis[m], tasks.s2[m]
        torch.testing.assert_close(V.T @ (s2[:, None] * V), x.T @ x, rtol=0, atol=1e-13 * float(x.norm()) ** 2)
        torch.testing.assert_close(V.T @ V, torch.linalg.pinv(x, rtol=1e-10) @ x, rtol=0, atol=1e-13)
        r = int(tasks.ranks[m])
        assert not V[r:].any() and not s2[r:].any() and not tasks.shift[m, r:].any()
        torch.testing.assert_close(tasks.shift[m], V @ tasks.solution, rtol=0, atol=1e-12)
    assert pytest.approx(max(float(torch.linalg.matrix_norm(x, 2)) for x in X), rel=1e-14) == tasks.R


@pytest.mark.parametrize("far", [0.0, 3.0])
def test_solution_is_the_nearest_to_the_start(far):
    X, y = ragged()
    X, y = X[:2], y[:2]  # of rank 4 in 6 dimensions: many solutions
    start = far * torch.ones(6, dtype=F64)
    tasks = Tasks(X, y, start)
    stacked = torch.cat(X)
    expected = start + torch.linalg.pinv(stacked) @ (torch.cat(y) - stacked @ start)
    torch.testing.assert_close(tasks.solution, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(tasks.error, start - expected, rtol=0, atol=1e-12)


def test_many_rows_give_the_same_solution():
    """With more rows than twice the dimension the least squares is reduced first; the answer must not change."""
    tasks = random_tasks(9, 4, 1, generator=rng(3))
    few = Tasks(tasks.X[:4], tasks.y[:4])
    torch.testing.assert_close(tasks.solution, few.solution, rtol=0, atol=1e-10)


def test_a_nearly_dependent_row_is_cut():
    x = torch.tensor([[1.0, 0.0], [1.0, 1e-12]], dtype=F64)
    assert Tasks([x], [x @ torch.ones(2, dtype=F64)]).ranks.tolist() == [1]
    assert Tasks([x], [x @ torch.ones(2, dtype=F64)], cut=1e-14).ranks.tolist() == [2]


def test_random_tasks_are_scaled_and_solved():
    tasks = random_tasks(5, 8, 3, condition=1e3, generator=rng())
    assert pytest.approx(1, rel=1e-14) == tasks.R
    for x, v in zip(tasks.X, tasks.y, strict=True):
        torch.testing.assert_close(x @ tasks.solution, v, rtol=0, atol=1e-12)
    size = torch.cat(random_tasks(400, 3, 1, condition=100.0, generator=rng()).X).square().mean(0)
    # 400 squares of normals: a standard error of 7 per cent each, and 30 are four of a ratio's
    assert (size[0] / size[1]).item() == pytest.approx(10, rel=0.3)
    assert (size[1] / size[2]).item() == pytest.approx(10, rel=0.3)
    assert torch.equal(random_tasks(np.int64(2), np.int64(3), np.int64(1), generator=rng()).basis,
                       random_tasks(2, 3, 1, generator=rng()).basis)  # fmt: skip


def test_line_tasks_have_the_lines_as_solutions():
    directions = torch.randn(4, 5, generator=rng(), dtype=F64)
    tasks = line_tasks(directions, torch.ones(5, dtype=F64))
    assert tasks.ranks.tolist() == [4] * 4
    torch.testing.assert_close(tasks.s2, torch.ones(4, 4, dtype=F64), rtol=0, atol=1e-14)
    assert (tasks.basis @ directions[:, :, None]).abs().max() < 1e-14 * 10
    assert tasks.solution.abs().max() < 1e-14 * 10


def test_families():
    pair = angle_pair(0.3)
    cosine = (pair.basis[0] @ pair.basis[1].T).abs().item()
    assert cosine == pytest.approx(math.cos(0.3), rel=1e-14)
    fan = fan_tasks(10, tilt=0.1)
    # The angle between the start and the j-th line.
    aside = (fan.basis @ fan.start)[:, 0].abs()
    assert aside[3].item() == pytest.approx(math.sin(0.1 + 4 * math.pi / 20), rel=1e-13)
    assert fan_tasks(1).T == 1
    lines = equicorrelated_lines(6)
    line = torch.linalg.svd(lines.basis).Vh[:, -1]
    squares = (line @ line.T).square()
    torch.testing.assert_close(squares - torch.diag(squares.diag()), (1 - torch.eye(6, dtype=F64)) * 5 / 6,
                               rtol=0, atol=1e-13)  # fmt: skip
    assert (line @ lines.start).abs().std() < 1e-13
    axes = orthogonal_tasks(4)
    torch.testing.assert_close(axes.solution, torch.full((4,), 0.5, dtype=F64), rtol=0, atol=1e-14)
    assert orthogonal_tasks(1).solution.tolist() == [1.0]


@pytest.mark.parametrize("bad, match", [
    (lambda: Tasks([]), "X must hold at least 1"),
    (lambda: Tasks([torch.zeros(1, 2, dtype=F64)]), "X must not be 0"),
    (lambda: Tasks([torch.eye(2, dtype=F64)[:1]] * 2, [torch.ones(1, dtype=F64), torch.zeros(1, dtype=F64)]),
     "y must allow weights that solve all tasks, found a residual of"),
    (lambda: Tasks([torch.eye(2)]), "must be float64, found float32"),
    (lambda: random_tasks(2, 3, 4, generator=rng()), "r must be at most 3, found 4"),
    (lambda: line_tasks(torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=F64), torch.ones(2, dtype=F64)), "0 in row 1"),
    (lambda: angle_pair(0.0), "theta must be finite and above 0"),
])  # fmt: skip
def test_bad_input(bad, match):
    with pytest.raises((ValueError, TypeError), match=match):
        bad()
