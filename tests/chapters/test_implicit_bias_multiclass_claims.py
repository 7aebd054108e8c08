"""Every check of the chapter implicit-bias-multiclass passes, and fails when a fault is planted in what it rests on."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import margins
from implicitly.margins import PermLoss, constraints, descend, hard_margin_svm, losses

LIBRARY = "implicitly.margins."


# -- faults in losses, data and clocks --------------------------------------------------------------------------------


def another_exponential(name, log_psi):
    """A loss in place of the exponential one, whose weights stay as they are."""

    def find(loss, find=losses._loss):
        found = find(loss)
        if found.name != "exponential":
            return found
        return PermLoss("exponential", lambda u: log_psi(found.log_psi, u), found.log_weights)

    find.__name__ = name
    return find


a_little_stronger = another_exponential("a little stronger", lambda exact, u: exact(u) + 1e-11)
half_as_strong = another_exponential("half as strong", lambda exact, u: exact(u) - math.log(2))
other_temperature = another_exponential("other temperature", lambda exact, u: exact(2 * u))
squares = another_exponential("squares", lambda exact, u: u.square().sum(-1).log())


def moved_svm(name, move):
    def svm(X, y, K=None, svm=margins.hard_margin_svm):
        return move(svm(X, y, K))

    svm.__name__ = name
    return svm


longer = moved_svm("longer", lambda svm: replace(svm, W=1.002 * svm.W))
much_shorter = moved_svm("much shorter", lambda svm: replace(svm, W=0.5 * svm.W))
shorter = moved_svm("shorter", lambda svm: replace(svm, W=0.9 * svm.W))
a_little_longer = moved_svm("a little longer", lambda svm: replace(svm, W=(1 + 1e-4) * svm.W))
twice_as_long = moved_svm("twice as long", lambda svm: replace(svm, W=2 * svm.W))
bent = moved_svm(
    "bent", lambda svm: replace(svm, W=svm.W * torch.linspace(1, 0.9, len(svm.W), dtype=svm.W.dtype)[:, None])
)
equal_duals = moved_svm(
    "equal duals", lambda svm: replace(svm, alpha=torch.where(svm.support, svm.alpha.mean(), 0.0).double())
)


def without_a_point(X, y, K=None, svm=margins.hard_margin_svm):
    """A support point is forgotten."""
    exact = svm(X, y, K)
    keep = torch.arange(len(y)) != exact.alpha.sum(1).argmax()
    return replace(exact, W=svm(X[keep], y[keep], K or int(y.max()) + 1).W)


def moved_path(name, move, **wanted):
    """Descent whose path is changed, if it was asked for with these options."""

    def descent(X, y, loss, *, descend=margins.descend, **options):
        path = descend(X, y, loss, **options)
        given = {"loss": loss, **options}
        return move(path) if all(given.get(key) == value for key, value in wanted.items()) else path

    descent.__name__ = name
    return descent


def clock(name, move):
    return moved_path(name, lambda path: replace(path, log_time=move(path.log_time)))


def in_place_of(other, loss):
    """Another loss in place of one."""

    def descent(X, y, found, *, descend=margins.descend, **options):
        return descend(X, y, other if loss in (found, None) else found, **options)

    descent.__name__ = f"{other} for {loss}"
    return descent


def too_early(X, y, loss, *, at, descend=margins.descend, **options):
    """A tenth of the steps."""
    return descend(X, y, loss, at=[*range(1, len(at)), max(len(at), max(at) // 10)], **options)


def plain_clock(path):
    return replace(path, log_time=torch.tensor(path.steps).double().log()[:, None].expand_as(path.log_time))


def half_a_step(X, y, loss, *, step_size, descend=margins.descend, **options):
    return descend(X, y, loss, step_size=step_size / 2, **options)


def turned(path, share):
    """The first row a little longer."""
    W = path.W.clone()
    W[:, :, 0] *= 1 + share
    return replace(path, W=W)


def moved_on(path):
    """A little more in one entry of the last record."""
    W = path.W.clone()
    W[-1, 0, 0, 0] += 1e-8
    return replace(path, W=W)


def one_against_the_rest(X, y, loss, *, at, start, descend=margins.descend, **options):
    """No loss of relative margins."""
    W, target = start.clone(), torch.nn.functional.one_hot(y, 3).double()
    for _ in range(100):
        W = W - 0.02 * ((X @ W.T).sigmoid() - target).T @ X
    return replace(descend(X, y, loss, at=[1], start=start, **options), W=W[None, None])


def late(Z, loss, log_times, *, classes, flow=margins.log_time_flow):
    """The clock is a hundredth ahead."""
    return flow(Z, loss, [time + 0.01 for time in log_times], classes=classes)


def half_the_step(path, X, svm, *, normalized, use=margins.mirror_use):
    """The step is taken for half as long."""
    return use(path, X, svm, normalized=normalized / 2)


def no_length(X, svm, *, normalized=1.0):
    """Steps of no length."""
    return 1.0


def twice_the_length(X, svm, factor=margins.step_factor):
    return factor(X, svm) ** 2


def unweighted(path, X, y, svms, constants=margins.margin_constants):
    """The duals' logarithms with equal weights."""
    each = [svm.alpha[svm.support].log() for svm in svms]
    return torch.stack([a.max() - a.mean() for a in each]), constants(path, X, y, svms)[1]


def no_next_term(svm, Z):
    return 0.0


def support_alone(X, y, K=None, limit=margins.polynomial_limit):
    """Only the samples of the support."""
    keep = hard_margin_svm(X, y, K).support.any(1)
    return limit(X[keep], y[keep], K)


def turned_limit(X, y, K=None, limit=margins.polynomial_limit):
    V = limit(X, y, K)
    return V * (1 + 1e-6 * torch.arange(len(V), dtype=V.dtype)[:, None])


ALL_SIZES = "[(30, 5, 3), (10, 2, 3), (40, 8, 4)]"
ONE = {ALL_SIZES: "[(30, 5, 3)]", "range(3)": "range(1)"}
TWO = {ALL_SIZES: "[(30, 5, 3)]", "range(3)": "range(2)"}
PLANE = {ALL_SIZES: "[(10, 2, 3)]", "range(3)": "range(1)"}
SLOW = {ALL_SIZES: "[(40, 8, 4)]", "range(3)": "range(2)"}
FEW_MARGINS = {"25_000": "200"}
PLAIN = ONE | {"range(1, 7)": "range(1, 6)"}
FEW_PROBLEMS = {"range(100, 300)": "range(100, 130)"}
ONE_RUN = ONE | {"[10**5]": "[10**4]"}


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


def svm(fault):
    return LIBRARY + "hard_margin_svm", fault


def descent(fault):
    return LIBRARY + "descend", fault


def loss(fault):
    return LIBRARY + "losses._loss", fault


FAULTS = [
    Fault("C1", "tail", *loss(a_little_stronger), FEW_MARGINS),
    Fault("C1", "tail", *loss(half_as_strong), FEW_MARGINS, far=True),
    Fault("C1", "tail", *loss(other_temperature), FEW_MARGINS, far=True),
    Fault("C2", "curvature", *loss(other_temperature), FEW_MARGINS),
    Fault("C2", "curvature", *loss(squares), FEW_MARGINS, far=True),
    Fault("C2", "constants", *times("score_curvature", 1 + 1e-5)),
    Fault("C2", "constants", *times("score_curvature", 1.001), far=True),
    Fault("C3", "direction", *descent(in_place_of("polynomial", None)), ONE),
    Fault("C3", "direction", *svm(bent), ONE),
    Fault("C3", "direction", *svm(without_a_point), ONE),
    Fault("C3", "same limit", *descent(in_place_of("polynomial", "pairlog")), ONE, far=True),
    Fault("C3", "same limit", *descent(moved_path("turned", lambda p: turned(p, 1e-3), loss="pairlog")), ONE),
    Fault("C4", "direction", LIBRARY + "mirror_use", half_the_step, PLANE),
    Fault("C4", "direction", *svm(shorter), PLANE),
    Fault("C4", "clock", *descent(moved_path("clock of fixed steps", plain_clock)), PLANE),
    Fault("C4", "clock", *descent(clock("negative", lambda t: -t.abs() - 10)), PLANE),
    Fault("C4", "clock", *descent(clock("half", lambda t: t / 2)), PLANE),
    Fault("C4", "clock", *descent(clock("wrong at the end", lambda t: torch.where(t > 50, -1.0, t))), PLANE),
    Fault("C4", "digits", LIBRARY + "mirror_use", half_the_step, {"range(3)": "range(1)"}),
    Fault("C4", "digits", *svm(much_shorter), {"range(3)": "range(1)"}),
    Fault("C5", "any start", *svm(shorter), PLANE),
    Fault("C5", "any start", *descent(clock("half", lambda t: t / 2)), PLANE),
    Fault("C5", "any start", *descent(in_place_of("polynomial", None)), PLANE, far=True),
    Fault("C6", "path", *descent(clock("a little late", lambda t: t + 2e-5)), ONE),
    Fault("C6", "plain", *descent(moved_path("late", lambda p: replace(p, log_time=p.log_time + 0.1),
                                              normalized=1.0)), PLAIN),
    Fault("C6", "plain", *descent(moved_path("mean for sum", lambda p: replace(p, log_time=p.log_time + math.log(30)),
                                              normalized=1.0)), PLAIN, far=True),
    Fault("C7", "slope", *svm(longer), ONE),
    Fault("C7", "slope", *descent(in_place_of("polynomial", None)), ONE, far=True),
    Fault("C7", "risk", *svm(longer), ONE),
    Fault("C7", "risk", LIBRARY + "step_factor", no_length, ONE),
    Fault("C7", "risk", LIBRARY + "step_factor", twice_the_length, ONE),
    Fault("C7", "digits", *svm(longer), {"range(3)": "range(1)"}),
    Fault("C8", "residual", LIBRARY + "step_factor", no_length, ONE),
    Fault("C8", "residual", *descent(clock("a late clock", lambda t: t + 0.002)), ONE),
    Fault("C8", "residual", *svm(equal_duals), ONE, far=True),
    Fault("C8", "duals", LIBRARY + "step_factor", no_length, ONE),
    Fault("C8", "duals", *descent(clock("a late clock", lambda t: t + 0.002)), ONE),
    Fault("C8", "duals", *svm(equal_duals), ONE, far=True),
    Fault("C8", "flow", LIBRARY + "log_time_flow", late, ONE),
    Fault("C8", "slow", LIBRARY + "log_time_flow", late, SLOW),
    Fault("C9", "margin", LIBRARY + "direction_constant", no_next_term, FEW_PROBLEMS),
    Fault("C9", "margin", *times("direction_constant", 2**0.5), FEW_PROBLEMS),
    Fault("C9", "margin", LIBRARY + "margin_constants", unweighted, FEW_PROBLEMS, far=True),
    Fault("C9", "direction", *times("direction_constant", 1.05), TWO),
    Fault("C10", "polynomial", LIBRARY + "polynomial_limit", support_alone, ONE, far=True),
    Fault("C10", "polynomial", LIBRARY + "polynomial_limit", turned_limit, ONE),
    Fault("C10", "elsewhere", *descent(in_place_of("exponential", "polynomial")), ONE),
    Fault("C10", "cube root", *descent(in_place_of("pairlog", "polynomial")), ONE, far=True),
    Fault("C10", "cube root", *descent(clock("a slow clock", lambda t: t * (1 - 1e-5))), ONE),
    Fault("C11", None, *descent(one_against_the_rest), ONE_RUN, far=True),
    Fault("C11", None, *descent(moved_path("moved on", moved_on)), ONE_RUN),
    Fault("C12", "svm", *svm(twice_as_long), far=True),
    Fault("C12", "svm", *svm(a_little_longer)),
    Fault("C12", "course", *descent(half_a_step), far=True),
    Fault("C12", "course", *descent(moved_path("a little longer", lambda p: replace(p, W=p.W * (1 + 1e-11))))),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("implicit-bias-multiclass", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("implicit-bias-multiclass", FAULTS)


# -- what the text says besides ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return margins.teacher_classes(30, 5, 3, seed=0)


def readable_train():
    """The loop that the chapter shows."""
    source = (Path(__file__).parents[2] / "chapters" / "implicit-bias-multiclass.md").read_text(encoding="utf-8")
    found = {"torch": torch}
    exec("def train(" + source.split("def train(")[1].split("\n\n\n")[0], found)
    return found["train"]


def test_readable_loop_and_where_it_goes_wrong(data):
    train, (X, y) = readable_train(), data
    ours = descend(X, y, "cross-entropy", at=[50], step_size=0.02).W[0, 0]
    assert torch.allclose(train(X, y, 3, 50, 0.02), ours, atol=1e-12)
    # one point far out: beyond u = 37 only the wrong class moves
    for u, right in ((30.0, True), (38.0, False)):
        x, w = torch.ones(1, 1, dtype=torch.float64), torch.tensor([[u], [0.0]], dtype=torch.float64)
        q = (x @ w.T - u).exp()
        c = q / q.sum(1, keepdim=True)
        c[0, 0] -= 1
        assert bool(c.sum().abs() < 0.01 * c[0, 1]) == right


def test_c7_without_genericity():
    """Two points of one label: a zero dual on the support, a residual without bound, risk and norm all the same."""
    X, y = torch.tensor([[1.0, 0], [1, 1]], dtype=torch.float64), torch.tensor([0, 0])
    svm, Z = hard_margin_svm(X, y, 2), constraints(X, y, 2)
    ages = torch.tensor([100.0, 10_000.0], dtype=torch.float64)
    W = margins.log_time_flow(Z, "exponential", ages, classes=2)
    rho = (W - ages[:, None] * svm.W.reshape(-1)).norm(dim=1)
    assert not svm.generic and svm.support.all() and abs(svm.norm**2 - 0.5) < 1e-9
    assert rho[1] - rho[0] == pytest.approx(math.log(100) / math.sqrt(2), abs=0.05)  # ln ln t, times |(1, -1)| / 2
    assert abs((ages[1] - Z @ W[1]).exp().sum() / svm.norm**2 - 1) < 1e-3
    assert (W.norm(dim=1) - svm.norm * ages).diff().abs()[0] < 0.1
