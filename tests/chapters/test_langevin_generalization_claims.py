"""Every check of the chapter `langevin-generalization` has been seen to fail: a planted fault breaks it.

Each test computes a check's measured value as the chapter does, sees the claim hold, then plants a fault
(a wrong constant, a dropped term, a broken assumption) and sees the claim break.
"""

import itertools
import math

import pytest
import torch
from planting import plant
from scipy.optimize import minimize_scalar

from implicitly import chance, claim, data, langevin
from implicitly.claims import ClaimError

F64 = torch.float64
SLUG = "langevin-generalization"


def holds_but_not(number, good, bad, **comparison):
    claim(f"{SLUG}/C{number}", "as in the chapter", measured=good, **comparison)
    with pytest.raises(ClaimError):
        claim(f"{SLUG}/C{number}", "with a fault", measured=bad, **comparison)


def rotating(seed):
    g = torch.Generator().manual_seed(seed)
    draw = torch.rand(2, 6, generator=g, dtype=F64)
    loss, prior = draw[0], torch.softmax(3 * draw[1], 0)
    beta = 10 ** (2 * torch.rand((), generator=g).item() - 1)
    keeps = langevin.gibbs(loss, prior, beta)
    chain = langevin.random_cycles(keeps, 1, g)
    return chain, prior, loss, beta, keeps


@pytest.fixture(scope="module")
def circles():
    parts = [rotating(seed) for seed in range(40)]
    return parts, [langevin.ledger(c, p, l, b, range(61), k) for c, p, l, b, k in parts]


@pytest.fixture(scope="module")
def wells():
    x = torch.linspace(-2, 2, 101, dtype=F64)
    loss = (x**2 - 1) ** 2 / 4 + 0.05 * (x + 2)
    loss = loss - loss.min()
    even = torch.full_like(x, 1 / 101)
    betas = torch.tensor([0.5, 2, 8, 32], dtype=F64)
    gibbs = torch.stack([langevin.gibbs(loss, even, b) for b in betas])
    return x, loss, even, betas, gibbs, langevin.metropolis_line(gibbs)


def test_c1_fails_for_a_law_that_is_not_kept(circles):
    """The fault: the distance to the prior, or to the Gibbs law of twice the temperature, is not monotone."""
    parts, runs = circles
    rise = max(run.largest_rise() for run in runs)
    holds_but_not(1, rise, max(run.kl_prior.diff().max().item() for run in runs), at_most=1e-12)
    wrong = [langevin.kl(run.laws, langevin.gibbs(l, p, b / 2)).diff().max().item()
             for run, (_, p, l, b, _) in zip(runs, parts, strict=True)]  # fmt: skip
    holds_but_not(1, rise, max(wrong), at_most=1e-12)


@pytest.mark.parametrize("factor", [0.25, 0.0, -1.0])
def test_c2_fails_with_a_wrong_constant_or_sign(circles, factor):
    _, runs = circles
    good = max(run.overdraft() for run in runs)
    bad = max((run.kl_prior - factor * run.budget).max().item() for run in runs)
    holds_but_not(2, good, bad, at_most=1e-10)


def tight():
    """The cycle of the chapter that spends its budget to the last nat."""
    p0 = torch.arange(6, dtype=F64).softmax(0)
    level = p0.log() - p0.log().min()
    uniform = torch.full((6,), 1 / 6, dtype=F64)
    return langevin.ledger(torch.eye(6, dtype=F64).roll(1, 1), p0, level, 1.0, range(8), uniform)


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_c2_sharp_fails_when_the_constant_is_off_by_one_per_cent(factor):
    run = tight()
    good = (run.kl_prior - run.budget).abs().max()
    holds_but_not(2, good, (run.kl_prior - factor * run.budget).abs().max(), at_most=1e-10)


def test_c2_fails_for_a_chain_that_keeps_another_law(circles):
    """The fault: training at an eighth of the temperature, with the budget of the full one."""
    parts, runs = circles
    good = max(run.overdraft() for run in runs)
    bad = -math.inf
    for _, prior, loss, beta, _ in parts:
        colder = langevin.gibbs(loss, prior, 8 * beta)
        run = langevin.ledger(langevin.metropolis_line(colder), prior, loss, beta, range(200), colder)
        bad = max(bad, run.overdraft())
    holds_but_not(2, good, bad, at_most=1e-10)


def test_c2_quadratic_fails_with_a_third_of_the_constant():
    clock = torch.logspace(-2, 1.3, 80, dtype=F64)
    laws = [langevin.OrnsteinUhlenbeck(1.0, 1.0, 1.0, b) for b in (1.0, 10.0, 100.0)]
    ratio = max((law.kl_prior(clock) / law.budget(clock)).max().item() for law in laws)
    holds_but_not(2, ratio, ratio * 3, at_most=1.0)


def test_c2_energy_fails_when_the_loss_is_climbed(circles):
    parts, runs = circles
    good = max((run.energy[1:] - run.energy[0]).max().item() for run in runs)
    climbing = langevin.gibbs(-parts[0][2], parts[0][1], parts[0][3])
    run = langevin.ledger(langevin.metropolis_line(climbing), *parts[0][1:4], range(61), climbing)
    holds_but_not(2, good, (run.energy[1:] - run.energy[0]).max().item(), at_most=1e-12)


def test_c2_metropolis_and_c4_euler_variance_tell_the_two_apart():
    law = langevin.OrnsteinUhlenbeck(1.0, 1.0, 1.0, 2.0)
    ends = {}
    for adjust in (False, True):
        g = torch.Generator().manual_seed(3)
        start = torch.randn(20_000, 1, generator=g)
        ends[adjust] = langevin.run_chains(
            start, lambda x: (((x - 1) ** 2).sum(1) / 2, x - 1), steps=150, beta=2.0, eta=0.4, prior_var=1.0,
            adjust=adjust, generator=g).var().item()  # fmt: skip
    exact = law.stationary[1]
    euler = exact / (1 - 0.4 * law.rate / 2)
    in_sigmas = lambda found, stated: abs(found / stated - 1) / 0.01  # noqa: E731
    holds_but_not(2, in_sigmas(ends[True], exact), in_sigmas(ends[False], exact), at_most=5.0)
    holds_but_not(4, in_sigmas(ends[False], euler), in_sigmas(ends[False], exact / (1 - 0.4 * law.rate)), at_most=5.0)


def boxed(eta, wall, beta=5.0):
    g = torch.Generator().manual_seed(0)
    q = 2 * torch.rand(20_000, 1, generator=g) - 1
    for _ in range(round(15 / eta)):
        grad = (2 * q**3 - 0.72 * q) / 0.36 + 0.3
        noise = torch.randn(q.shape, generator=g)
        q = wall(q - eta * grad + math.sqrt(2 * eta / beta) * noise)
    spot = torch.linspace(-1, 1, 2001, dtype=F64)
    height = torch.exp(-5 * ((spot**4 / 2 - 0.36 * spot**2) / 0.36 + 0.3 * spot))
    return chance.kolmogorov_distance(q[:, 0], spot, height)


def test_c2_box_fails_with_a_torus_or_a_wrong_temperature():
    def mirror(z):
        return langevin.reflect(z, 1.0)

    good = boxed(0.02, mirror)
    holds_but_not(2, good, boxed(0.02, lambda z: torch.remainder(z + 1, 2) - 1), at_most=0.03)
    holds_but_not(2, good, boxed(0.02, mirror, beta=10.0), at_most=0.03)


def test_c3_fails_without_one_of_the_divergences():
    law = langevin.OrnsteinUhlenbeck(1.0, 1.0, 1.0, 10.0)
    zero = torch.zeros(1, dtype=F64)
    end = law.beta * (law.energy(zero) - law.energy(zero + 1e3)).item()
    bad = abs(end / (law.jeffreys() - law.kl_stationary(zero).item()) - 1)
    holds_but_not(3, abs(end / law.jeffreys() - 1), bad, at_most=1e-9)


def test_c4_fails_without_the_price_of_the_start(wells):
    x, loss, even, betas, gibbs, chains = wells
    warm = torch.softmax(-x, 0)
    good, bad = [], []
    for beta, chain, keeps in zip(betas, chains, gibbs, strict=True):
        run = langevin.ledger(chain, warm, loss, beta, [0, 1, 5, 50, 500], keeps)
        to_even = langevin.kl(run.laws, even)
        good.append((to_even - to_even[0] - run.budget)[1:].max().item())
        bad.append((to_even - run.budget)[1:].max().item())
    holds_but_not(4, max(good), max(bad), at_most=1e-10)


def test_c4_large_steps_need_their_own_potential():
    hot = langevin.OrnsteinUhlenbeck(1.0, 0.0, 1.0, 1.0)
    mean, var = hot.euler_law(torch.arange(1, 40), 0.9)
    moved = langevin.gauss_kl(mean, var, 0.0, 1.0)
    small = (moved - (1.0 - var - mean**2) / 2).max().item()
    kept = hot.stationary[1] / (1 - 0.9 * hot.rate / 2)
    own = (moved - (1 / kept - 1) / 2 * (1.0 - var - mean**2)).max().item()
    holds_but_not(4, own, small, at_most=1e-10)
    holds_but_not(4, small, own, at_least=1.0)  # the negative control can fail as well


def test_c5_hoeffding_fails_with_a_sharper_constant():
    def worst(constant):
        settings = itertools.product((1, 10, 100), (0.1, 0.3, 0.5, 0.7, 0.9), (0.1, 1.0, 10.0, 30.0))
        return max(math.log(langevin.hoeffding_moment(u, N, p)) - u**2 / (constant * N) for N, p, u in settings)

    holds_but_not(5, worst(8), worst(8.1), at_most=1e-12)


@pytest.mark.parametrize("fault", [lambda N: 1.99 * math.sqrt(N), lambda N: 2 * N**0.4])
def test_c5_maurer_fails_with_a_smaller_constant(fault):
    sizes = (*range(1, 65), 128, 512, 2048)
    constants = [langevin.maurer_constant(N) for N in sizes]
    good = max(c / (2 * math.sqrt(N)) for c, N in zip(constants, sizes, strict=True))
    bad = max(c / fault(N) for c, N in zip(constants, sizes, strict=True))
    holds_but_not(5, good, bad, at_most=1 + 1e-9)


@pytest.mark.parametrize("form", ["maurer", "abstract"])
def test_c5_constant_fails_for_another_form(form):
    def off(form):
        K, N = 40.0, 500
        best = minimize_scalar(lambda u: (K + math.log(20)) / math.exp(u) + math.exp(u) / (8 * N),
                               bounds=(-5, 15), method="bounded", options={"xatol": 1e-9}).fun  # fmt: skip
        return abs(langevin.pac_bayes_bound(K, N, 0.05, form) / best - 1)

    holds_but_not(5, off("fixed"), off(form), at_most=1e-9)


def counted(fault, monkeypatch, beta=50.0):
    if fault:
        plant(monkeypatch, "implicitly.langevin.pac_bayes_bound", fault)
    g = torch.Generator().manual_seed(11)
    train, true = langevin.rule_errors(500, 100, flip=1.0, points=30, generator=g)
    run = langevin.train_rules(train, beta, [0, 1, 3, 10, 30, 100, 300])
    return langevin.rule_failures(run, train, true, beta=beta, N=100, delta=0.05)


@pytest.mark.parametrize(
    ("check", "number", "fault"),
    [
        ("averaged", 5, lambda K, N, delta: math.sqrt(math.log(1 / delta) / (2 * N)) * 0.5),  # half, no divergence
        ("averaged", 5, lambda K, N, delta: (K + math.log(2 * math.sqrt(N) / delta)) / (2 * N)),  # no root
        ("averaged", 5, lambda K, N, delta: math.sqrt(K + math.log(2 * math.sqrt(N) / delta)) / (2 * N)),
        ("single", 6, lambda K, N, delta: math.sqrt(math.log(1 / delta) / (2 * N)) * 0.5),
        ("single", 6, lambda K, N, delta: math.sqrt(K + math.log(2 * math.sqrt(N) / delta)) / (2 * N)),
    ],
)  # fmt: skip
def test_c5_and_c6_fail_with_a_wrong_bound(check, number, fault, monkeypatch):
    good = counted(None, monkeypatch)[check]
    holds_but_not(number, good, counted(fault, monkeypatch)[check], at_most=0.05)


@pytest.mark.parametrize("change", ["loss not subtracted the right way", "eight times the temperature"])
def test_c6_density_fails(wells, change):
    _, loss, even, betas, gibbs, chains = wells
    run = langevin.ledger(chains, even, loss, betas, [0, 1, 10, 100, 3000], gibbs)
    ratio = (run.laws / run.laws[0]).log()
    good = (ratio - betas[:, None] * (loss.max() - loss))[1:].max().item()
    if change == "eight times the temperature":
        bad = (ratio - betas[:, None] / 8 * (loss.max() - loss))[1:].max().item()
    else:
        bad = (ratio - betas[:, None] * loss)[1:].max().item()
    holds_but_not(6, good, bad, at_most=1e-9)


def largest_share(curvature):
    late = torch.logspace(-3, 6, 60, dtype=F64)
    laws = [langevin.OrnsteinUhlenbeck(curvature(d), 0.0, 1.0, 5.0, d) for d in (1, 10, 100, 1_000, 10_000)]
    in_one = 5 * laws[0].energy(late[:1] * 0).item()
    return max((law.kl_prior(late) / in_one).max().item() for law in laws)


def test_c7_fails_when_the_loss_grows_with_the_dimension_or_beta_is_left_out():
    share = largest_share(lambda d: 2.0 / d)
    holds_but_not(7, share, largest_share(lambda d: 2.0), at_most=1.0)
    holds_but_not(7, share, share * 25, at_most=1.0)  # beta = 5 squared is what a wrong exponent would cost


def spent_share(run):
    left = run.budget[1:]
    return (run.kl_prior[1:] / left).where(left > 0, math.inf).max().item()


def test_c7_mixing_fails_for_a_chain_that_keeps_another_law(wells):
    _, loss, even, betas, gibbs, chains = wells
    eye = torch.eye(101, dtype=F64)
    slow = 1e-2 * chains + (1 - 1e-2) * eye
    good = spent_share(langevin.ledger(slow, even, loss, betas, [0, 10, 1000], gibbs))
    colder = torch.stack([langevin.gibbs(loss, even, 16 * b) for b in betas[:2]])
    bad = spent_share(langevin.ledger(langevin.metropolis_line(colder), even, loss, betas[:2], [0, 10, 1000], colder))
    holds_but_not(7, good, bad, at_most=1.0)
    climbing = torch.stack([langevin.gibbs(-loss, even, b) for b in betas])  # no budget at all: an infinite share
    bad = spent_share(langevin.ledger(langevin.metropolis_line(climbing), even, loss, betas, [0, 10, 1000], climbing))
    holds_but_not(7, good, bad, at_most=1.0)


CAP = math.log(2) + 1 / 8


def guarantee(beta, N):
    return langevin.pac_bayes_bound(beta * CAP, N, 0.05, "fixed")


def test_c5_digits_and_c8_fail_without_the_temperature():
    """The fault: the bound of a temperature four thousand times higher."""
    same = dict(steps=2560, eta=1 / 64)  # the chapter's control: nothing but the temperature differs
    run, long = (langevin.langevin_run(beta, 60, 1.0, 0, **same) for beta in (20_000, 5))
    hot = langevin.langevin_run(50, 500, 1.0, 0)
    good = (0.5 - hot["train_error"]) / guarantee(50, 500)
    bad = (0.5 - run["train_error"]) / guarantee(5, 60)
    for number in (5, 8):
        holds_but_not(number, good, bad, at_most=1.0)
    holds_but_not(8, (0.5 - long["train_error"]) / guarantee(5, 60), bad, at_most=1.0)
    holds_but_not(8, bad, good, at_least=1.0)  # the negative control fails for a run that is hot


def test_c5_start_fails_for_a_wider_prior():
    """The fault: output weights of variance 1 instead of 1 / width."""
    net, g = langevin.TanhNet(64), torch.Generator().manual_seed(0)
    x, y, *_ = data.digits(200, flip=0.0, seed=0)
    theta = net.sample_prior(256, g)
    wide = theta.clone()
    wide[:, -64:] *= 8
    holds_but_not(5, net.loss(theta, x, y).mean(), net.loss(wide, x, y).mean(), at_most=CAP)
