"""The claims of the chapter implicit-bias-multiclass hold on part of its data, and break when a fault is planted."""

import math
from dataclasses import replace

import pytest
import torch

from implicitly import claim, max_margin, perm_losses
from implicitly.claims import ClaimError
from implicitly.max_margin import angle, constraints, direction_error, hard_margin_svm
from implicitly.perm_losses import LOSSES, PermLoss, descend

TAILED = ("cross-entropy", "exponential", "pairlog")


def holds(id, measured, **comparison):
    return claim(f"implicit-bias-multiclass/{id}", "a test", measured=measured, **comparison)


def breaks(id, measured, **comparison):
    with pytest.raises(ClaimError):
        holds(id, measured, **comparison)


@pytest.fixture(scope="module")
def data():
    return perm_losses.teacher_classes(30, 5, 3, seed=0)


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
    holds("C1", max(perm_losses.tail_violation(name, random_u(K)) for K in (2, 5)), at_most=1e-12)


def test_c1_tail_sees_other_tails():
    exact = LOSSES["exponential"]
    scaled = [
        PermLoss("a little too strong", exact.log_psi, lambda u: -u + 1e-6),
        PermLoss("half as strong", exact.log_psi, lambda u: -u - math.log(2)),
        PermLoss("other temperature", exact.log_psi, lambda u: -2 * u + math.log(2)),
        LOSSES["polynomial"],
    ]
    for loss in scaled:
        breaks("C1", perm_losses.tail_violation(loss, random_u(3)), at_most=1e-12)


def test_c1_curvature():
    for name in TAILED:
        holds("C1", perm_losses.curvature_use(name, random_u(4, 200)), at_most=1 + 1e-9)
    breaks("C1", perm_losses.curvature_use("polynomial", random_u(4, 200)), at_most=1 + 1e-9)
    square = PermLoss("squares", lambda u: u.square().sum(-1).log(), lambda u: u)
    breaks("C1", perm_losses.curvature_use(square, random_u(4, 200)), at_most=1 + 1e-9)


@pytest.mark.parametrize("K", [2, 3, 5])
def test_c1_constants(K):
    for name in ("cross-entropy", "pairlog"):
        found = perm_losses.score_curvature(name, K)
        holds("C1", abs(found / LOSSES[name].smoothness(K) - 1), at_most=1e-6)
        breaks("C1", abs(found / (1.001 * LOSSES[name].smoothness(K)) - 1), at_most=1e-6)


# -- C2, C8 -----------------------------------------------------------------------------------------------------------


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


def test_c2_digits():
    X, y = perm_losses.digit_classes(150, seed=0)
    svm = hard_margin_svm(X, y, 10)
    path = descend(X, y, "cross-entropy", classes=10, normalized=1.0, at=[3000, 30_000])
    holds("C2", angle(path.W[-1, 0], svm.W), at_most=4.0)
    breaks("C2", angle(path.W[0, 0], svm.W), at_most=4.0)
    bent = svm.W.clone()
    bent[:, -1] *= 3  # another price for the constant pixel
    breaks("C2", angle(path.W[-1, 0], bent), at_most=4.0)


def test_c8_bounds():
    data = perm_losses.teacher_classes(10, 2, 3, seed=0)
    svm = hard_margin_svm(*data)
    path = descend(*data, "exponential", at=[2**k for k in range(20)], normalized=1.0)
    use = max_margin.mirror_use(path, data[0], svm, normalized=1.0)
    holds("C8", use.direction, at_most=1.0)
    holds("C8", use.clock, at_most=1.0)
    halved = max_margin.mirror_use(path, data[0], svm, normalized=0.5)  # the step is taken for half as long
    breaks("C8", halved.direction, at_most=1.0)
    shorter = replace(svm, W=0.9 * svm.W)
    breaks("C8", max_margin.mirror_use(path, data[0], shorter, normalized=1.0).direction, at_most=1.0)
    plain = replace(path, log_time=torch.tensor(path.steps).double().log()[:, None])  # the clock of fixed steps
    breaks("C8", max_margin.mirror_use(plain, data[0], svm, normalized=1.0).clock, at_most=1.0)


def halving(data, *, late=0.0):
    marks = torch.tensor([1.0, 2.0, 5.0])
    exact = max_margin.log_time_flow(constraints(*data), "cross-entropy", marks, classes=3)
    gaps = []
    for f in (1.0, 0.5):
        path = descend(*data, "cross-entropy", at=range(0, round(3000 / f), round(8 / f)), normalized=f)
        gap = path.at(marks + late)[:, 0].flatten(1) - exact
        gaps.append((gap.norm(dim=1) / exact.norm(dim=1)).max())
    return gaps[0] / gaps[1]


def test_c8_path(data):
    holds("C8", abs(halving(data) - 2), at_most=0.1)
    breaks("C8", abs(halving(data, late=0.01) - 2), at_most=0.1)  # the clock is one per cent wrong


def test_c8_plain(data):
    fast = descend(*data, "cross-entropy", at=range(0, 8001, 20), normalized=1.0)
    plain = descend(*data, "cross-entropy", at=[10_000, 100_000], step_size=0.02)

    def apart(late):
        gap = plain.W[:, 0] - fast.at(plain.log_time[:, 0] + late, problem=0)
        return (gap.norm(dim=(1, 2)) / plain.W[:, 0].norm(dim=(1, 2))).max()

    holds("C8", apart(0.0), at_most=0.01)
    breaks("C8", apart(0.5), at_most=0.01)
    breaks("C8", apart(-math.log(30)), at_most=0.01)  # mean instead of sum


# -- C3, C4, C5 -------------------------------------------------------------------------------------------------------


def slope(path, norm):
    rise = path.W[-1, 0].norm() - path.W[-2, 0].norm()
    return rise / (path.log_time[-1, 0] - path.log_time[-2, 0]) / norm


def test_c3_slope(svm, far, poly):
    for path in far.values():
        holds("C3", abs(slope(path, svm.norm) - 1), at_most=0.01)
        breaks("C3", abs(slope(path, 1.02 * svm.norm) - 1), at_most=0.01)
    breaks("C3", abs(slope(poly, svm.norm) - 1), at_most=0.01)


def test_c3_residual_c4_duals(data, svm, far):
    for loss, path in far.items():
        errors = max_margin.dual_errors(path, *data, loss, svm)
        holds("C3", errors.residual[-1], at_most=0.05)
        holds("C4", errors.duals[-1], at_most=0.05)
        breaks("C4", errors.duals[0], at_most=0.05)  # too early
        late = replace(path, log_time=path.log_time + 0.2)  # a clock that runs ahead
        breaks("C3", max_margin.dual_errors(late, *data, loss, svm).residual[-1], at_most=0.05)
        breaks("C4", max_margin.dual_errors(late, *data, loss, svm).duals[-1], at_most=0.05)
    equal = replace(svm, alpha=torch.where(svm.support, svm.alpha.mean(), 0.0))  # all duals the same
    errors = max_margin.dual_errors(far["pairlog"], *data, "pairlog", equal)
    breaks("C3", errors.residual[-1], at_most=0.05)
    breaks("C4", errors.duals[-1], at_most=0.05)


def test_c4_slow():
    X, y = perm_losses.teacher_classes(40, 8, 4, seed=1)
    svm, Z = hard_margin_svm(X, y, 4), constraints(X, y, 4)
    alpha, clock = svm.alpha.reshape(-1), torch.tensor([34.0, 2500.0])
    W = max_margin.log_time_flow(Z, "exponential", clock, classes=2)
    error = ((clock[:, None] - W @ Z.T).exp() - alpha).norm(dim=1) / alpha.norm()
    holds("C4", error[1], at_most=0.001)
    breaks("C4", error[0], at_most=0.001)


def test_c5_risk(svm, far):
    path = far["cross-entropy"]
    delta = (path.log_time[-1] - path.log_time[-2]).item() / 40_000
    product = (path.log_risk[-1] + path.log_time[-1]).exp().item()
    expected = svm.norm**2 * delta / math.expm1(delta)
    holds("C5", abs(product / expected - 1), at_most=0.002)
    breaks("C5", abs(product / (expected * 1.01) - 1), at_most=0.002)
    breaks("C5", abs(product / (svm.norm * math.sqrt(expected) * 0.9) - 1), at_most=0.002)


def test_c5_margin():
    sets = [perm_losses.teacher_classes(10, 2, 3, seed=s) for s in range(100, 130)]
    svms = [hard_margin_svm(*xy, 3) for xy in sets]
    X, y = (torch.stack(part) for part in zip(*sets, strict=True))
    path = descend(X, y, "cross-entropy", classes=3, normalized=1.0, at=[20_000])
    kappa, gap = max_margin.margin_constants(path, X, y, svms)
    settled = torch.tensor([svm.rate for svm in svms]) * path.log_time[-1] >= 6
    assert settled.sum() > 20
    off = lambda constant: (gap[-1] - constant)[settled].abs().max()  # noqa: E731
    holds("C5", off(kappa), at_most=0.05)
    unweighted = [a.max().log() - a.log().mean() for a in (svm.alpha[svm.support] for svm in svms)]
    breaks("C5", off(torch.tensor(unweighted)), at_most=0.05)
    breaks("C5", off(torch.zeros(())), at_most=0.05)


def exponent(path, target):
    error, clock = direction_error(path.W[-2:, 0], target).log(), path.log_time[-2:, 0].log()
    return (error[1] - error[0]) / (clock[1] - clock[0])


def test_c5_direction(svm, far, poly):
    holds("C5", abs(exponent(far["exponential"], svm.W) + 1), at_most=0.1)
    breaks("C5", abs(exponent(poly, svm.W) + 1), at_most=0.1)
    breaks("C5", abs(exponent(far["exponential"], svm.W + 0.02) + 1), at_most=0.1)  # another target


# -- C6, C7, C9 -------------------------------------------------------------------------------------------------------


def test_c6(data, svm, far, poly):
    ends = [path.W[-1, 0] for path in far.values()]
    spread = lambda ends: max(angle(a, b) for a in ends for b in ends)  # noqa: E731
    holds("C6", spread(ends), at_most=0.05)
    breaks("C6", spread([*ends, poly.W[-1, 0]]), at_most=0.05)
    V = max_margin.polynomial_limit(*data)
    holds("C6", angle(poly.W[-1, 0], V), at_most=0.01)
    breaks("C6", angle(ends[0], V), at_most=0.01)
    # only the support constraints in the program for V
    X, y = data
    few = svm.support.any(1)
    breaks("C6", angle(poly.W[-1, 0], max_margin.polynomial_limit(X[few], y[few])), at_most=0.01)
    holds("C6", angle(poly.W[-1, 0], svm.W), at_least=1.0)
    breaks("C6", angle(ends[0], svm.W), at_least=1.0)
    power = lambda p: (p.W[-1, 0].norm() / p.W[-2, 0].norm()).log() / (p.log_time[-1, 0] - p.log_time[-2, 0])  # noqa: E731
    holds("C6", abs(power(poly) - 1 / 3), at_most=1e-3)
    breaks("C6", abs(power(far["pairlog"]) - 1 / 3), at_most=1e-3)


def test_c7(data, svm):
    X, y = data
    start = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    run = descend(X, y, "pairlog", at=[10_000], step_size=0.02, start=start)
    holds("C7", max((run.W[-1, 0] - start).sum(0).abs().max(), svm.W.sum(0).abs().max()), at_most=1e-10)
    W = start.clone()  # one against the rest is no PERM loss
    target = torch.nn.functional.one_hot(y, 3).double()
    for _ in range(100):
        W = W - 0.02 * ((X @ W.T).sigmoid() - target).T @ X
    breaks("C7", (W - start).sum(0).abs().max(), at_most=1e-10)


def test_c9():
    from sklearn.svm import SVC

    X, y = perm_losses.teacher_classes(20, 3, 2, seed=0)
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
