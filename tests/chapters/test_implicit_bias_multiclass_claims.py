"""The claims of the chapter implicit-bias-multiclass hold on part of its data, and break when a fault is planted."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from implicitly import claim, margins
from implicitly.claims import ClaimError
from implicitly.data import digit_classes
from implicitly.margins import LOSSES, PermLoss, angle, constraints, descend, direction_error, hard_margin_svm

TAILED = ("cross-entropy", "exponential", "pairlog")


def holds(id, measured, **comparison):
    return claim(f"implicit-bias-multiclass/{id}", "a test", measured=measured, **comparison)


def breaks(id, measured, **comparison):
    with pytest.raises(ClaimError):
        holds(id, measured, **comparison)


@pytest.fixture(scope="module")
def data():
    return margins.teacher_classes(30, 5, 3, seed=0)


@pytest.fixture(scope="module")
def svm(data):
    return hard_margin_svm(*data)


@pytest.fixture(scope="module")
def far(data):
    steps = [3000, 20_000, 40_000, 80_000]
    return {loss: descend(*data, loss, at=steps, normalized=1.0) for loss in TAILED}


@pytest.fixture(scope="module")
def poly(data):
    return descend(*data, "polynomial", at=[1000, 10_000, 20_000], normalized=1.0)


def random_u(K, n=2000):
    g = torch.Generator().manual_seed(0)
    return 6 * torch.rand(n, K - 1, generator=g, dtype=torch.float64) - 2


# -- C1 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TAILED)
def test_c1_tail(name):
    holds("C1", max(margins.tail_violation(name, random_u(K)) for K in (2, 5)), at_most=1e-12)


def test_c1_tail_sees_other_tails():
    """The templates are at fault, not only their weights."""
    exact = LOSSES["exponential"]
    scaled = [
        PermLoss("a little too strong", lambda u: exact.log_psi(u) + 1e-6, exact.log_weights),
        PermLoss("half as strong", lambda u: exact.log_psi(u) - math.log(2), exact.log_weights),
        PermLoss("other temperature", lambda u: exact.log_psi(2 * u), exact.log_weights),
        LOSSES["polynomial"],
    ]
    far_out = random_u(3) + 20
    for loss in scaled:
        breaks("C1", margins.tail_violation(loss, random_u(3)), at_most=1e-12)
        breaks("C1", margins.tail_violation(loss, far_out), at_most=1e-12)
        if loss.name != "polynomial":
            assert margins.weights_error(loss, far_out) > 1e-7  # the weights were left as they were
    for name in LOSSES:
        assert margins.weights_error(name, far_out) < 1e-12


def test_c1_curvature():
    for name in TAILED:
        holds("C1", margins.curvature_use(name, random_u(4, 200)), at_most=1 + 1e-9)
    breaks("C1", margins.curvature_use("polynomial", random_u(4, 200)), at_most=1 + 1e-9)
    square = PermLoss("squares", lambda u: u.square().sum(-1).log(), lambda u: u)
    breaks("C1", margins.curvature_use(square, random_u(4, 200)), at_most=1 + 1e-9)


@pytest.mark.parametrize("K", [2, 3, 5])
def test_c1_constants(K):
    for name in ("cross-entropy", "pairlog"):
        found = margins.score_curvature(name, K)
        holds("C1", abs(found / LOSSES[name].smoothness(K) - 1), at_most=1e-6)
        breaks("C1", abs(found / (1.001 * LOSSES[name].smoothness(K)) - 1), at_most=1e-6)


# -- C2, C8, C10 ------------------------------------------------------------------------------------------------------


def readable_train():
    """The chapter's four lines."""
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


def test_c2_direction(data, svm, far, poly):
    holds("C2", max(angle(path.W[-1, 0], svm.W) for path in far.values()), at_most=1.0)
    breaks("C2", angle(poly.W[-1, 0], svm.W), at_most=1.0)  # another tail
    bent = svm.W * torch.tensor([1.0, 1.0, 0.9], dtype=torch.float64)[:, None]
    breaks("C2", angle(far["pairlog"].W[-1, 0], bent), at_most=1.0)
    X, y = data
    keep = torch.arange(len(y)) != svm.alpha.sum(1).argmax()
    other = hard_margin_svm(X[keep], y[keep]).W  # a support point forgotten
    breaks("C2", angle(far["pairlog"].W[-1, 0], other), at_most=1.0)
    plain = descend(X, y, "cross-entropy", at=[100_000], step_size=0.02)
    breaks("C2", angle(plain.W[0, 0], svm.W), at_most=1.0)  # not far enough


def test_c8_bounds():
    data = margins.teacher_classes(10, 2, 3, seed=0)
    svm = hard_margin_svm(*data)
    path = descend(*data, "exponential", at=[2**k for k in range(20)], normalized=1.0)
    use = margins.mirror_use(path, data[0], svm, normalized=1.0)
    holds("C8", use.direction, at_most=1.0)
    holds("C8", use.clock, at_most=1.0)
    halved = margins.mirror_use(path, data[0], svm, normalized=0.5)  # the step is taken for half as long
    breaks("C8", halved.direction, at_most=1.0)
    shorter = replace(svm, W=0.9 * svm.W)
    breaks("C8", margins.mirror_use(path, data[0], shorter, normalized=1.0).direction, at_most=1.0)


def with_clock(path, log_time):
    return replace(path, log_time=log_time)


def test_c8_clock_sees_every_violation():
    data = margins.teacher_classes(10, 2, 3, seed=0)
    svm = hard_margin_svm(*data)
    path = descend(*data, "exponential", at=[2**k for k in range(20)], normalized=1.0)

    def clock(log_time):
        return margins.mirror_use(with_clock(path, log_time), data[0], svm, normalized=1.0).clock

    breaks("C8", clock(torch.tensor(path.steps).double().log()[:, None]), at_most=1.0)  # the clock of fixed steps
    breaks("C8", clock(-path.log_time.abs() - 10), at_most=1.0)  # negative throughout
    breaks("C8", clock(0.5 * path.log_time), at_most=1.0)
    breaks("C8", clock(torch.where(path.log_time > 50, -1.0, path.log_time)), at_most=1.0)  # wrong at the end only


def test_c8_digits():
    X, y = digit_classes(100, seed=0)
    svm = hard_margin_svm(X, y, 10)
    path = descend(X, y, "exponential", classes=10, at=[2**k for k in range(15)], normalized=1.0)
    use = lambda svm, f=1.0: margins.mirror_use(path, X, svm, normalized=f).direction  # noqa: E731
    holds("C8", use(svm), at_most=1.0)
    breaks("C8", use(svm, 0.5), at_most=1.0)
    breaks("C8", use(replace(svm, W=0.5 * svm.W)), at_most=1.0)


def test_c8_any_start(data, svm):
    X, y = data
    start = 5 * torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def growing(loss, target, f=1.0):
        path = descend(X, y, loss, at=[10_000, 40_000], normalized=1.0, start=start)
        n = torch.tensor(path.steps, dtype=torch.float64)
        hn = f / (2 * X.square().sum(1).max()) * n
        gap = path.W[:, 0] / hn[:, None, None] - target.W / target.norm**2
        scaled = n.sqrt() * gap.norm(dim=(1, 2))
        return scaled[1] / scaled[0]

    for loss in TAILED:
        holds("C8", growing(loss, svm), at_most=1.0)
        breaks("C8", growing(loss, replace(svm, W=0.9 * svm.W)), at_most=1.0)
        breaks("C8", growing(loss, svm, f=0.9), at_most=1.0)
    breaks("C8", growing("polynomial", svm), at_most=1.0)


def halving(data, *, late=0.0):
    marks = torch.tensor([1.0, 2.0, 5.0])
    exact = margins.log_time_flow(constraints(*data), "cross-entropy", marks, classes=3)
    gaps = []
    for f in (1.0, 0.5):
        rough = descend(*data, "cross-entropy", at=range(0, round(3000 / f), round(8 / f)), normalized=f)
        path = descend(*data, "cross-entropy", at=rough.steps_around(marks), normalized=f)
        gap = path.at(marks + late)[:, 0].flatten(1) - exact
        gaps.append(gap.norm(dim=1) / exact.norm(dim=1))
    return (gaps[0] / gaps[1] - 2).abs().max()


def test_c10_path(data):
    holds("C10", halving(data), at_most=0.01)
    breaks("C10", halving(data, late=2e-5), at_most=0.01)  # the clock is a little wrong


def test_c10_plain(data):
    fast = descend(*data, "cross-entropy", at=range(0, 8001, 20), normalized=1.0)
    plain = descend(*data, "cross-entropy", at=[10_000, 100_000], step_size=0.02)

    def apart(late):
        gap = plain.W[:, 0] - fast.at(plain.log_time[:, 0] + late, problem=0)
        return (gap.norm(dim=(1, 2)) / plain.W[:, 0].norm(dim=(1, 2))).max()

    holds("C10", apart(0.0), at_most=0.005)
    breaks("C10", apart(0.1), at_most=0.005)
    breaks("C10", apart(-math.log(30)), at_most=0.005)  # mean instead of sum


# -- C3, C4, C5 -------------------------------------------------------------------------------------------------------


def slope(path, norm):
    rise = path.W[-1, 0].norm() - path.W[-2, 0].norm()
    return rise / (path.log_time[-1, 0] - path.log_time[-2, 0]) / norm


def test_c3_slope(svm, far, poly):
    for path in far.values():
        holds("C3", abs(slope(path, svm.norm) - 1), at_most=0.001)
        breaks("C3", abs(slope(path, 1.002 * svm.norm) - 1), at_most=0.001)
    breaks("C3", abs(slope(poly, svm.norm) - 1), at_most=0.001)


def product(path, factor, norm):
    return (path.log_risk[-1, 0] + path.log_time[-1, 0]).exp() / norm**2 / factor


def test_c3_risk(data, svm, far, poly):
    factor = margins.step_factor(data[0], svm)
    for path in far.values():
        holds("C3", abs(product(path, factor, svm.norm) - 1), at_most=0.001)
        breaks("C3", abs(product(path, 1.0, svm.norm) - 1), at_most=0.001)  # steps of no length
        breaks("C3", abs(product(path, factor**2, svm.norm) - 1), at_most=0.001)  # twice as long
        breaks("C3", abs(product(path, factor, 1.001 * svm.norm) - 1), at_most=0.001)
    breaks("C3", abs(product(poly, factor, svm.norm) - 1), at_most=0.001)
    breaks("C3", abs(product(replace(far["pairlog"], log_risk=far["pairlog"].log_risk - math.log(30)), factor,
                             svm.norm) - 1), at_most=0.001)  # mean instead of sum  # fmt: skip


def test_c3_without_genericity():
    """Two points of one label: a zero dual on the support, a residual without bound, risk and norm all the same."""
    X, y = torch.tensor([[1.0, 0], [1, 1]], dtype=torch.float64), torch.tensor([0, 0])
    svm, Z = hard_margin_svm(X, y, 2), constraints(X, y, 2)
    ages = torch.tensor([100.0, 10_000.0], dtype=torch.float64)
    W = margins.log_time_flow(Z, "exponential", ages, classes=2)
    rho = (W - ages[:, None] * svm.W.reshape(-1)).norm(dim=1)
    assert not svm.generic and svm.support.all() and abs(svm.norm**2 - 0.5) < 1e-9
    assert rho[1] - rho[0] == pytest.approx(math.log(100) / math.sqrt(2), abs=0.05)  # ln ln t, times |(1, -1)| / 2
    holds("C3", abs((ages[1] - Z @ W[1]).exp().sum() / svm.norm**2 - 1), at_most=1e-3)
    holds("C3", (W.norm(dim=1) - svm.norm * ages).diff().abs()[0], at_most=0.1)


def test_c4_residual_and_duals(data, svm, far):
    factor = margins.step_factor(data[0], svm)
    for loss, path in far.items():
        assert svm.rate * path.log_time[-1, 0] > 7
        errors = margins.dual_errors(path, *data, loss, svm, factor=factor)
        holds("C4", errors.residual[-1], at_most=0.001)
        holds("C4", errors.duals[-1], at_most=0.001)
        breaks("C4", errors.duals[0], at_most=0.001)  # too early
        plain = margins.dual_errors(path, *data, loss, svm)  # steps of no length
        breaks("C4", plain.residual[-1], at_most=0.001)
        breaks("C4", plain.duals[-1], at_most=0.001)
        late = margins.dual_errors(with_clock(path, path.log_time + 0.002), *data, loss, svm, factor=factor)
        breaks("C4", late.residual[-1], at_most=0.001)
        breaks("C4", late.duals[-1], at_most=0.001)
    equal = replace(svm, alpha=torch.where(svm.support, svm.alpha.mean(), 0.0))  # all duals the same
    errors = margins.dual_errors(far["pairlog"], *data, "pairlog", equal, factor=factor)
    breaks("C4", errors.residual[-1], at_most=0.001)
    breaks("C4", errors.duals[-1], at_most=0.001)


def test_c4_flow(data, svm):
    Z = constraints(*data)
    W = margins.log_time_flow(Z, "cross-entropy", [20.0, 200.0], classes=3)
    weights = LOSSES["cross-entropy"].log_weights((W @ Z.T).reshape(2, -1, 2))

    def error(which, clock, alpha):
        return ((weights[which] + clock).exp() - alpha).norm() / alpha.norm()

    holds("C4", error(1, 200.0, svm.alpha), at_most=0.001)
    breaks("C4", error(0, 20.0, svm.alpha), at_most=0.001)  # too early
    breaks("C4", error(1, 200.01, svm.alpha), at_most=0.001)
    breaks("C4", error(1, 200.0, svm.alpha.roll(1, 0)), at_most=0.001)


def test_c4_slow():
    X, y = margins.teacher_classes(40, 8, 4, seed=1)
    svm, Z = hard_margin_svm(X, y, 4), constraints(X, y, 4)
    alpha, clock = svm.alpha.reshape(-1), torch.tensor([34.0, 2500.0])
    W = margins.log_time_flow(Z, "exponential", clock, classes=2)
    error = ((clock[:, None] - W @ Z.T).exp() - alpha).norm(dim=1) / alpha.norm()
    holds("C4", error[1], at_most=0.001)
    breaks("C4", error[0], at_most=0.001)


def test_c5_margin():
    sets = [margins.teacher_classes(10, 2, 3, seed=s) for s in range(100, 130)]
    svms = [hard_margin_svm(*xy, 3) for xy in sets]
    X, y = (torch.stack(part) for part in zip(*sets, strict=True))
    path = descend(X, y, "cross-entropy", classes=3, normalized=1.0, at=[20_000])
    kappa, gap = margins.margin_constants(path, X, y, svms)
    clock = path.log_time[-1]
    sure = torch.tensor([svm.rate * t >= 7 and svm.spans for svm, t in zip(svms, clock, strict=True)])
    assert sure.sum() > 10
    turn = torch.tensor([
        margins.direction_constant(svm, constraints(*xy, 3)) if svm.spans else math.nan
        for svm, xy in zip(svms, sets, strict=True)
    ])  # fmt: skip
    more = turn**2 / (2 * clock)
    off = lambda constant: (gap[-1] - constant)[sure].abs().max()  # noqa: E731
    holds("C5", off(kappa + more), at_most=0.001)
    breaks("C5", off(kappa), at_most=0.001)  # without the next term
    breaks("C5", off(kappa + 2 * more), at_most=0.001)
    unweighted = [a.max().log() - a.log().mean() for a in (svm.alpha[svm.support] for svm in svms)]
    breaks("C5", off(torch.tensor(unweighted) + more), at_most=0.001)
    breaks("C5", off(more), at_most=0.001)


def test_c5_direction(svm):
    data = margins.teacher_classes(30, 5, 3, seed=1)
    other = hard_margin_svm(*data)
    Z = constraints(*data)
    constant = margins.direction_constant(other, Z)
    for loss in TAILED:
        path = descend(*data, loss, at=[3000, 80_000], normalized=1.0)
        scaled = direction_error(path.W[:, 0], other.W) * path.log_time[:, 0]
        holds("C5", abs(scaled[-1] / constant - 1), at_most=0.01)
        breaks("C5", abs(scaled[0] / constant - 1), at_most=0.01)  # too early
        bent = direction_error(path.W[-1, 0], 1.01 * other.W + 0.001) * path.log_time[-1, 0]
        breaks("C5", abs(bent / constant - 1), at_most=0.01)
        moved = replace(other, alpha=other.alpha.roll(1, 0))
        with_other_duals = margins.residual_limit(replace(other, alpha=moved.alpha.clamp(min=0.01)), Z)
        breaks("C5", abs(scaled[-1] * other.norm / with_other_duals.norm() - 1), at_most=0.01)
    assert not svm.spans
    with pytest.raises(ValueError, match="svm must have a support that spans"):
        margins.direction_constant(svm, constraints(*margins.teacher_classes(30, 5, 3, seed=0)))


# -- C6, C7, C9 -------------------------------------------------------------------------------------------------------


def test_c6(data, svm, far, poly):
    ends = [path.W[-1, 0] for path in far.values()]
    spread = lambda ends: max(angle(a, b) for a in ends for b in ends)  # noqa: E731
    holds("C6", spread(ends), at_most=0.005)
    breaks("C6", spread([*ends, poly.W[-1, 0]]), at_most=0.005)
    V = margins.polynomial_limit(*data)
    holds("C6", angle(poly.W[-1, 0], V), at_most=1e-6)
    breaks("C6", angle(ends[0], V), at_most=1e-6)
    # only the support constraints in the program for V
    X, y = data
    few = svm.support.any(1)
    breaks("C6", angle(poly.W[-1, 0], margins.polynomial_limit(X[few], y[few])), at_most=1e-6)
    holds("C6", angle(poly.W[-1, 0], svm.W), at_least=1.0)
    breaks("C6", angle(ends[0], svm.W), at_least=1.0)
    power = lambda p: (p.W[-1, 0].norm() / p.W[-2, 0].norm()).log() / (p.log_time[-1, 0] - p.log_time[-2, 0])  # noqa: E731
    holds("C6", abs(power(poly) - 1 / 3), at_most=1e-6)
    breaks("C6", abs(power(far["pairlog"]) - 1 / 3), at_most=1e-6)


def test_c7(data, svm):
    X, y = data
    start = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    run = descend(X, y, "pairlog", at=[10_000], step_size=0.02, start=start)
    holds("C7", max((run.W[-1, 0] - start).sum(0).abs().max(), svm.W.sum(0).abs().max()), at_most=1e-9)
    W = start.clone()  # one against the rest is no PERM loss
    target = torch.nn.functional.one_hot(y, 3).double()
    for _ in range(100):
        W = W - 0.02 * ((X @ W.T).sigmoid() - target).T @ X
    breaks("C7", (W - start).sum(0).abs().max(), at_most=1e-9)


def test_c9():
    from sklearn.svm import SVC

    X, y = margins.teacher_classes(20, 3, 2, seed=0)
    eps = 1.0 - 2 * y
    both = torch.cat([X, -X]).numpy(), torch.cat([eps, -eps]).numpy()
    v = torch.tensor(SVC(kernel="linear", C=1e8, tol=1e-9).fit(*both).coef_[0])
    W = hard_margin_svm(X, y, 2).W
    mismatch = lambda halves: (W - halves).norm() / v.norm()  # noqa: E731
    holds("C9", mismatch(torch.stack([v, -v]) / 2), at_most=1e-5)
    breaks("C9", mismatch(torch.stack([v, -v])), at_most=1e-5)
    breaks("C9", mismatch(torch.stack([v, 0 * v])), at_most=1e-5)

    def course(factor):
        v = torch.zeros(3, dtype=torch.float64)
        for _ in range(300):
            v = v + factor * 0.05 * X.T @ (eps * torch.sigmoid(-eps * (X @ v)))
        W = descend(X, y, "cross-entropy", at=[300], step_size=0.05).W[0, 0]
        return (W[0] - W[1] - v).norm() / v.norm()

    holds("C9", course(2), at_most=1e-12)
    breaks("C9", course(1), at_most=1e-12)
