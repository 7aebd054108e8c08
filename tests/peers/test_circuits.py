"""A second opinion on threshold circuits: a SAT solver proves what we find by running them.

A neuron with weights 0 and 1 counts, so it is two cardinality constraints; python-sat turns these into clauses.
"""

import itertools

import pytest
import torch

from implicitly import interpolators

solvers = pytest.importorskip("pysat.solvers", reason="needs python-sat: make test-peers")
card = pytest.importorskip("pysat.card")


class Formula:
    def __init__(self, inputs):
        self.top, self.clauses = inputs, []

    def fresh(self):
        self.top += 1
        return self.top

    def count(self, literals, least, fires):
        """`fires` if and only if at least `least` of the literals are true."""
        if least <= 0 or least > len(literals):
            self.clauses.append([fires if least <= 0 else -fires])
            return
        for when, encode, bound in ((fires, card.CardEnc.atleast, least), (-fires, card.CardEnc.atmost, least - 1)):
            part = encode(lits=literals, bound=bound, top_id=self.top, encoding=card.EncType.seqcounter)
            self.top = max(self.top, part.nv)
            self.clauses += [[-when, *clause] for clause in part.clauses]

    def circuit(self, circuit, inputs):
        """Variables of the last layer."""
        for layer in circuit.layers:
            units = []
            parts = (layer.weights.tolist(), layer.scale.tolist(), layer.bias.tolist())
            for weights, scale, bias in zip(*parts, strict=True):
                reads, fires = [v for v, w in zip(inputs, weights, strict=True) if w], self.fresh()
                if scale == 0:
                    self.clauses.append([fires if bias > 0 else -fires])
                elif scale == 1:  # sum + bias > 0
                    self.count(reads, 1 - bias, fires)
                else:  # bias > sum: not (sum >= bias)
                    self.count(reads, bias, -fires)
                units.append(fires)
            inputs = units
        return inputs


def satisfiable(formula, *assumed):
    with solvers.Cadical153(bootstrap_with=formula.clauses) as solver:
        return solver.solve(assumptions=assumed)


def equal(a, b, d):
    """Whether two circuits answer alike at all 2^d points."""
    formula = Formula(d)
    (x,), (y,) = (formula.circuit(c, list(range(1, d + 1))) for c in (a, b))
    return not satisfiable(formula, x, -y) and not satisfiable(formula, -x, y)


def memorized(seed, d=9, N=14):
    """A teacher xor a memory of its mistakes, with the points and labels that it has to fit."""
    dice = torch.Generator().manual_seed(seed)
    X = torch.tensor(list(itertools.product([False, True], repeat=d)))[torch.randperm(2**d, generator=dice)[:N]]
    teacher = interpolators.neuron(d, [0, 2, 5], 2)
    flips = torch.rand(N, generator=dice) < 0.3
    return interpolators.xor(teacher, interpolators.and_memorizer(X, flips)), X, teacher(X) ^ flips


@pytest.mark.parametrize("seed", range(4))
def test_no_listed_point_is_wrong(seed, agrees):
    """Each wrong answer is refuted. The comparison sees a label that is flipped."""
    circuit, X, labels = memorized(seed)
    formula = Formula(X.shape[1])
    (out,) = formula.circuit(circuit, list(range(1, X.shape[1] + 1)))
    at = [[v + 1 if on else -v - 1 for v, on in enumerate(row)] for row in X.tolist()]
    others = [-out if label else out for label in labels.tolist()]
    wrong = sum(satisfiable(formula, *row, other) for row, other in zip(at, others, strict=True))
    assert all(satisfiable(formula, *row) for row in at)  # the clauses contradict no input
    agrees(claim="tempered-overfitting/C7", peer="python-sat", what="listed points at which a circuit can be wrong",
           measured=wrong, at_most=0)  # fmt: skip
    assert satisfiable(formula, *at[0], -others[0])


@pytest.mark.parametrize("seed", range(3))
def test_dead_width_is_silent_everywhere(seed, agrees):
    """A proof for all 512 inputs at once. The comparison sees added neurons whose scale is not 0."""
    circuit, X, _ = memorized(seed)
    d, dice = X.shape[1], torch.Generator().manual_seed(seed)
    wide = interpolators.widen(circuit, 4, generator=dice)
    agrees(claim="tempered-overfitting/C8", peer="python-sat", what="circuits that dead width changes at some input",
           measured=not equal(circuit, wide, d), at_most=0)  # fmt: skip
    assert not equal(circuit, interpolators.widen(circuit, 4, generator=dice, cut=False), d)
