"""Every check of the chapter score-flow passes, and fails when a fault is planted in what it rests on.

The checks are the chapter's own cells: for each, the cells it depends on are found by the names they
use, and run with the fault in the library.
"""

import ast
import builtins
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from planting import plant

import implicitly.claims
from implicitly import diffusion

CHAPTER = Path(__file__).parents[2] / "chapters" / "score-flow.md"


@cache
def cells():
    """Source of the chapter's code cells, without the set-up cell."""
    found = re.findall(r"^```\{code-cell\} python\n(.*?)^```$", CHAPTER.read_text(encoding="utf-8"), re.M | re.S)
    return [re.sub(r"\A---\n.*?^---\n|\A:tags:[^\n]*\n", "", cell, flags=re.M | re.S) for cell in found[1:]]


def read(node, bound):
    """Names that `node` reads and that are not in `bound`; what it binds is added to `bound`."""
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            return {node.id} - bound
        bound.add(node.id)
        return set()
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        return set()
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        bound |= {node.name} if isinstance(node, ast.FunctionDef) else set()
        body = node.body if isinstance(node.body, list) else [node.body]
        return read_all([*node.args.defaults, *body], bound | {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)})
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        inner = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        return read_all([part for g in node.generators for part in (g.iter, g.target, *g.ifs)] + inner, set(bound))
    if isinstance(node, ast.Assign):  # the value is read before the targets are bound
        return read_all([node.value, *node.targets], bound)
    if isinstance(node, ast.AugAssign):  # `x += 1` reads x
        target = {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)} - bound
        return target | read_all([node.value, node.target], bound)
    if isinstance(node, ast.For):
        return read_all([node.iter, node.target, *node.body], bound)
    return read_all(ast.iter_child_nodes(node), bound)


def read_all(nodes, bound):
    return set().union(*[read(node, bound) for node in nodes])


@cache
def names_of(index):
    """(names that a cell needs from elsewhere, names it binds)"""
    bound = set(dir(builtins))
    needs = read_all(ast.parse(cells()[index]).body, bound)
    return needs, bound - set(dir(builtins))


def needed(index, found):
    """Indices of the cells that cell `index` rests on."""
    for name in names_of(index)[0]:
        before = [k for k in range(index) if name in names_of(k)[1] and "plt.show()" not in cells()[k]]
        if before and before[-1] not in found:
            found.add(before[-1])
            needed(before[-1], found)
    return found


def check_cells():
    """(id, check) -> index of the cell with the claim call."""
    calls = {}
    for index, cell in enumerate(cells()):
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "claim":
                check = {k.arg: k.value for k in node.keywords}["check"].value
                calls[node.args[0].value.split("/")[1], check] = index
    return calls


CHECKS = check_cells()


def run(*checks):
    """Run the cells of `checks` and all that they rest on, in the chapter's order."""
    names, rest_on = {}, set()
    for check in checks:
        needed(CHECKS[check], rest_on).add(CHECKS[check])
    for k in sorted(rest_on):
        exec(compile(cells()[k], f"cell {k}", "exec"), names)


def test_every_check_passes():
    run(*CHECKS)


def bent_ramp(z, length, rho):
    """The factor L / (L - rho) in place of L / (L - 2 rho)."""
    length = torch.as_tensor(length, dtype=z.dtype)
    return length / (length - rho) * (torch.relu(z - rho) - torch.relu(z - (length - rho)))


def lopsided_ramp(z, length, rho):
    """The second kink at L - 1.2 rho."""
    length = torch.as_tensor(length, dtype=z.dtype)
    return torch.minimum(((z - rho) * (length / (length - 2.2 * rho))).clamp(min=0), length)


def half_cost(self, rho):
    """One neuron an edge in place of two."""
    size = self.L if hasattr(self, "L") else self.t.diff()
    return float((size / (size - 2 * rho)).sum())


def slow_exact(c, length, rho, time, exact=diffusion.score_flow_exact):
    """A rate of rho / (L - 2 rho) in the middle band, nearly."""
    return exact(c, length, 0.99 * rho, time)


def squared_line(x, denoise, sigma_T, sigma_0, *, alpha=1.0):
    """The exponent 2 on sigma_0 / sigma_T."""
    clean = denoise(x, alpha * sigma_T)
    return clean + (sigma_0 / sigma_T) ** 2 * (x - clean)


def dropped_factor(p_0, p_L, m):
    """Without the number m of ways to have one coordinate at L."""
    training = p_0**m + p_0 ** (m - 1) * p_L
    return training, (p_0 + p_L) ** m - training, 1 - (p_0 + p_L) ** m


def shifted_alpha(x, denoise, sigmas, *, flow=diffusion.probability_flow, **options):
    """rho = 0.9 sigma."""
    return flow(x, denoise, sigmas, **{**options, "alpha": 0.9})


def one_index(gram, length, rho, members):
    """The condition for one member of S in place of all."""
    push = -(members.double() * length) @ (gram - torch.eye(len(gram)).to(gram))
    return ((push <= rho) & members).any(1) | ~members.any(1)


def twice_the_push(gram, length, rho, members, exact=diffusion.vertex_is_fixed):
    """rho / 2 in place of rho."""
    return exact(gram, length, rho / 2, members)


def right_angles(m, d, *, generator, obtuse=None, simplex=diffusion.random_simplex, **options):
    """Orthogonal data, for which the limit need not be on an edge."""
    return simplex(m, d, generator=generator, **options)


def half_exponent(gamma, length, rho_T, rho_0):
    """gamma in place of 2 gamma."""
    return (rho_0 * (length - 2 * rho_T) / (rho_T * (length - 2 * rho_0))) ** gamma


def without_squares(self, y, sigma):
    """Logits without -|x_n|^2 / 2."""
    return ((y @ self.points.T) / sigma**2).softmax(1) @ self.points


def other_decay(value):
    def train(*args, seeds, decay, train=diffusion.train_denoisers, **options):
        return train(*args, seeds=seeds, decay=value, steps=1500, **options)  # fewer steps show it too

    return train


def swapped_decays(*args, seeds, decay, train=diffusion.train_denoisers, **options):
    """The networks with and without decay change places."""
    return train(*args, seeds=seeds, decay=decay[::-1], steps=1500, **options)


FAULTS = [
    ("C1", "balls", "implicitly.diffusion.ramp", bent_ramp),
    ("C1", "cost", "implicitly.diffusion.SimplexDenoiser.cost", half_cost),
    ("C1", "function", "implicitly.diffusion.ramp", lopsided_ramp),
    ("C2", "corner", "implicitly.diffusion.ramp", lopsided_ramp),
    ("C2", "course", "implicitly.diffusion.score_flow_exact", slow_exact),
    ("C3", "straight line", "implicitly.diffusion.probability_flow_exact", squared_line),
    ("C3", "straight line", "implicitly.diffusion.ramp", bent_ramp),
    ("C3", "ratio", "implicitly.diffusion.probability_flow", shifted_alpha),
    ("C4", "shares", "implicitly.diffusion.end_probabilities", dropped_factor),
    ("C4", "score flow", "implicitly.diffusion.end_probabilities", dropped_factor),
    ("C5", "condition", "implicitly.diffusion.vertex_is_fixed", one_index),
    ("C5", "condition", "implicitly.diffusion.vertex_is_fixed", twice_the_push),
    ("C5", "vertices", "implicitly.diffusion.vertex_is_fixed", twice_the_push),
    ("C5", "edges", "implicitly.diffusion.random_simplex", right_angles),
    ("C5", "two edges", "implicitly.diffusion.exact._clock", half_exponent),
    ("C5", "rate", "implicitly.diffusion.exact._clock", half_exponent),
    ("C6", "memorizes", "implicitly.diffusion.EmpiricalBayes", diffusion.SimplexDenoiser.from_points),
    ("C6", "equal shares", "implicitly.diffusion.EmpiricalBayes.__call__", without_squares),
    ("C7", "cost", "implicitly.diffusion.LineDenoiser.cost", half_cost),
    ("C7", "function", "implicitly.diffusion.ramp", lopsided_ramp),
    ("C7", "flows", "implicitly.diffusion.ramp", lopsided_ramp),
    ("C7", "flows", "implicitly.diffusion.probability_flow_exact", squared_line),
    ("C8", "with decay", "implicitly.diffusion.train_denoisers", other_decay(0.0)),
    ("C8", "without decay", "implicitly.diffusion.train_denoisers", other_decay(1e-4)),
    ("C8", "fit", "implicitly.diffusion.train_denoisers", swapped_decays),
]


@pytest.mark.parametrize("claim, check, path, fault", FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_check_fails_with_a_planted_fault(monkeypatch, claim, check, path, fault):
    plant(monkeypatch, path, fault)
    with pytest.raises(implicitly.claims.ClaimError, match=f"score-flow/{claim} ..?{check}.?.: FAILS"):
        run((claim, check))


def test_every_check_has_a_fault():
    assert {(claim, check) for claim, check, *_ in FAULTS} == set(CHECKS)
