"""Langevin steps, finite chains, PAC-Bayes bounds, threshold rules, networks on digits: against exact cases."""

import itertools
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.stats import kstest, norm

from implicitly import chance, data, langevin
from implicitly.langevin import OrnsteinUhlenbeck, kl, langevin_step, mala_step, reflect
from implicitly_kernels.langevin.reference import normals

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tensor(*values):
    return torch.tensor(values, dtype=F64)


def mirrored(z, b):
    """One mirror after the other, as a particle meets them."""
    while abs(z) > b:
        z = math.copysign(2 * b, z) - z
    return z


@given(st.floats(-40, 40), st.floats(0.1, 5))
def test_reflect_is_mirror_after_mirror(z, b):
    assert reflect(tensor(z), b).item() == pytest.approx(mirrored(z, b), abs=1e-9)
    assert abs(reflect(torch.tensor([z], dtype=torch.float32), b).item()) <= torch.tensor(b, dtype=torch.float32)


def test_reflect_per_coordinate_and_inside_alone():
    z = torch.randn(100, 3, generator=generator(), dtype=F64) * 5
    box = tensor(0.5, 1.0, 2.0)
    inside = reflect(z, box)
    assert (inside.abs() <= box).all()
    torch.testing.assert_close(inside, torch.stack([reflect(z[:, i], b) for i, b in enumerate((0.5, 1.0, 2.0))], 1))
    assert torch.equal(reflect(inside, box), inside)


def test_step_is_the_formula_and_leaves_the_global_generator_alone():
    theta, grad, noise = torch.randn(3, 5, 2, generator=generator(), dtype=F64)
    state = torch.get_rng_state()
    moved = langevin_step(theta, grad, beta=3.0, eta=0.1, prior_var=tensor(0.5, 2.0), noise=noise)
    expected = theta - 0.1 * (grad + theta / (3 * tensor(0.5, 2.0))) + math.sqrt(0.2 / 3) * noise
    torch.testing.assert_close(moved, expected, rtol=1e-14, atol=0)
    boxed = langevin_step(theta, grad, beta=3.0, eta=0.1, box=0.3, noise=noise)
    torch.testing.assert_close(boxed, reflect(theta - 0.1 * grad + math.sqrt(0.2 / 3) * noise, 0.3))
    one, two = (langevin_step(theta, grad, beta=1.0, eta=0.1, box=1.0, generator=generator(4)) for _ in range(2))
    assert torch.equal(one, two) and torch.equal(torch.get_rng_state(), state)
    assert langevin_step(theta[:0], grad[:0], beta=1.0, eta=0.1, box=1.0, generator=generator()).shape == (0, 2)


@pytest.mark.parametrize("box", [None, 0.8])
def test_metropolis_is_reversible(box):
    """The chance of x -> y and back, weighted by p_inf, must agree: checked on the acceptance rule itself."""
    beta, eta, var = 2.0, 0.7, None if box else 1.5

    def value_and_grad(x):
        return (x**4 / 4 - x).sum(1), x**3 - 1

    def density(x):
        return math.exp(-beta * (x**4 / 4 - x) - (0 if box else x * x / (2 * var)))

    def proposal(x, y):
        mean = x - eta * (x**3 - 1 + (0 if box else x / (beta * var)))
        return norm.pdf(y, mean, math.sqrt(2 * eta / beta))

    for x, y in itertools.product((-0.7, -0.2, 0.3, 0.75), (-0.5, 0.1, 0.6, 1.1)):
        ratio = density(y) * proposal(y, x) / (density(x) * proposal(x, y))
        expected = 0.0 if box and abs(y) > box else min(1.0, ratio)
        accepted = accept_probability(x, y, value_and_grad, beta, eta, var, box)
        assert accepted == pytest.approx(expected, abs=0.02)


def accept_probability(x, y, value_and_grad, beta, eta, var, box):
    """Share of 40 000 chains at x that accept, all made to propose y by a rigged normal."""
    theta = torch.full((40_000, 1), x, dtype=F64)
    drift = value_and_grad(theta)[1] + (0 if box else theta / (beta * var))
    rigged = (y - (theta - eta * drift)) / math.sqrt(2 * eta / beta)
    original = torch.randn
    torch.randn = lambda *a, **k: rigged
    try:
        _, accept = mala_step(theta, value_and_grad, beta=beta, eta=eta, prior_var=var, box=box, generator=generator(1))
    finally:
        torch.randn = original
    return accept.double().mean().item()


@pytest.mark.parametrize("t", [1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize(("a", "m", "s2", "beta"), [(1.0, 1.0, 1.0, 1.0), (0.3, -2.0, 0.5, 20.0), (4.0, 0.5, 3.0, 0.2)])
def test_quadratic_against_quadrature_and_the_differential_equation(t, a, m, s2, beta):
    law = OrnsteinUhlenbeck(a, m, s2, beta)
    now = tensor(t)
    mean, var = law.mean(now).item(), law.var(now).item()
    h = 1e-5 * t
    assert (law.mean(now + h) - law.mean(now - h)).item() / (2 * h) == pytest.approx(
        -a * (mean - m) - mean / (beta * s2), rel=1e-4, abs=1e-7
    )
    assert (law.var(now + h) - law.var(now - h)).item() / (2 * h) == pytest.approx(
        -2 * law.rate * var + 2 / beta, rel=1e-4, abs=1e-7
    )
    here = norm(mean, math.sqrt(var))
    for other, cost in ((norm(0, math.sqrt(s2)), law.kl_prior(now)),
                      (norm(law.stationary[0], math.sqrt(law.stationary[1])), law.kl_stationary(now))):  # fmt: skip
        integral, _ = quad(lambda x, q=other: here.pdf(x) * (here.logpdf(x) - q.logpdf(x)),
                           mean - 12 * math.sqrt(var), mean + 12 * math.sqrt(var), epsabs=1e-12, limit=200)  # fmt: skip
        assert cost.item() == pytest.approx(integral, abs=1e-8)
    wide = 12 * math.sqrt(var)
    energy, _ = quad(lambda x: here.pdf(x) * a / 2 * (x - m) ** 2, mean - wide, mean + wide)
    assert law.energy(now).item() == pytest.approx(energy, rel=1e-8)
    many = OrnsteinUhlenbeck(a, m, s2, beta, d=7)
    assert many.budget(now).item() == pytest.approx(7 * law.budget(now).item())


def test_published_values_of_the_quadratic():
    """The fact sheet's figures for a = m = s = 1."""
    law = OrnsteinUhlenbeck(1.0, 1.0, 1.0, 1.0)
    t = tensor(1e-3, 0.1, 1.0, 30.0)
    torch.testing.assert_close(law.kl_prior(t), tensor(1.50e-6, 0.01175, 0.18553, 0.22157), rtol=4e-3, atol=0)
    torch.testing.assert_close(law.budget(t), tensor(0.0020, 0.1689, 0.5843, 0.6250), rtol=2e-3, atol=0)
    ends = [OrnsteinUhlenbeck(1.0, 1.0, 1.0, b).jeffreys() for b in (1.0, 10.0, 100.0)]
    assert ends == pytest.approx([0.625, 9.50413, 99.5], rel=1e-5)


def test_euler_law_is_what_the_recursion_gives():
    law, eta = OrnsteinUhlenbeck(1.3, 0.7, 0.9, 2.5), 0.4
    mean, var = 0.0, 0.9
    for n in range(1, 60):
        mean -= eta * (1.3 * (mean - 0.7) + mean / (2.5 * 0.9))
        var = (1 - eta * law.rate) ** 2 * var + 2 * eta / 2.5
        got = law.euler_law(torch.tensor(n), eta)
        assert (got[0].item(), got[1].item()) == pytest.approx((mean, var), rel=1e-12)
    assert var == pytest.approx(law.stationary[1] / (1 - eta * law.rate / 2), rel=1e-10)


def test_kolmogorov_distance_is_scipys():
    sample = torch.randn(500, generator=generator(), dtype=F64) * 0.9 + 0.1
    grid = torch.linspace(-8, 8, 4001, dtype=F64)
    exact = kstest(sample.numpy(), norm.cdf).statistic
    assert chance.kolmogorov_distance(sample, grid, torch.exp(-(grid**2) / 2)) == pytest.approx(exact, abs=1e-5)
    atom = torch.zeros(10, dtype=F64)
    assert chance.kolmogorov_distance(atom, grid, torch.exp(-(grid**2) / 2)) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("forget", [False, True])
def test_path_budgets_hold_for_the_quadratic(forget):
    """Both bounds from gradients dominate the exact divergence, and the integral is scipy's."""
    law = OrnsteinUhlenbeck(1.0, 1.0, 1.0, 3.0)
    t = torch.linspace(0, 8, 2001, dtype=F64)
    grad = 2 * law.a * law.energy(t)
    bound = langevin.path_budget(t, grad, beta=3.0, prior_var=1.0 if forget else None)
    assert (law.kl_prior(t) <= bound + 1e-6).all()
    end, rate = 8.0, 1 / 3.0

    def integrand(u):
        weight = 1.5 * math.exp(-rate * (end - u)) if forget else 0.75
        return weight * 2 * law.energy(tensor(u)).item()

    assert bound[-1].item() == pytest.approx(quad(integrand, 0, end)[0], rel=1e-5)
    assert bound[0] == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: reflect([1.0], 1.0), TypeError, "z must be a torch.Tensor, found list"),
        (lambda: reflect(tensor(1.0), -1.0), ValueError, "box must be above 0, found -1"),
        (lambda: reflect(tensor(1.0), tensor(1.0, 2.0)), ValueError, "box must be a number or have shape"),
        (lambda: step(beta=0.0), ValueError, "beta must be finite and above 0, found 0"),
        (lambda: step(eta=-1.0), ValueError, "eta must be finite and above 0"),
        (lambda: step(box=1.0), ValueError, "exactly one of prior_var and box, found both"),
        (lambda: step(prior_var=None), ValueError, "exactly one of prior_var and box, found none"),
        (lambda: step(grad=torch.zeros(3, 3)), ValueError, r"grad must have shape \(2, 3\), found \(3, 3\)"),
        (lambda: step(theta=torch.full((2, 3), math.nan)), ValueError, "theta must be finite"),
        (lambda: OrnsteinUhlenbeck(-1.0, 0.0, 1.0, 1.0), ValueError, "a must be finite and above 0, found -1"),
        (lambda: OrnsteinUhlenbeck(1.0, 0.0, 1.0, 1.0).euler_law(torch.tensor(1), 5.0), ValueError, "eta must be"),
        (lambda: kl(tensor(0.5, 0.6), tensor(0.5, 0.5)), ValueError, "p must sum to 1 .* last axis, found 1.1"),
        (lambda: kl(tensor(1.5, -0.5), tensor(0.5, 0.5)), ValueError, "p must be a law, .* found -0.5"),
        (lambda: kl(tensor(), tensor()), ValueError, r"p must have shape \(..., n\), found \(0,\)"),
        (lambda: langevin.gibbs(tensor(0.0, 1.0, 2.0), tensor(0.5, 0.5), 1.0), ValueError,
         r"prior must have shape \(\.\.\., 3\), found \(2,\)"),
        (lambda: langevin.diffusion_laws(torch.zeros(2, 3, dtype=F64), tensor(1.0), beta=1.0, spacing=1.0, first=1.0,
                                         doublings=0), ValueError, r"energy must have shape \(n\), found \(2, 3\)"),
        (lambda: kl(torch.tensor([0.5, 0.5]), tensor(0.5, 0.5)), TypeError, "p must be float64, found float32"),
        (lambda: langevin.gibbs(tensor(0.0, 1.0), tensor(0.5, 0.5), -1.0), ValueError, "beta must be"),
        (lambda: langevin.metropolis_line(tensor(0.0, 1.0)), ValueError, "target must be positive .* found 0"),
        (lambda: ledger_of(stationary=tensor(0.9, 0.1)), ValueError, "stationary must be kept by chain, .* by 0.4"),
        (lambda: ledger_of(times=[1, 2]), ValueError, r"times must .* found \[1, 2\]"),
        (lambda: ledger_of(times=[]), ValueError, "times must hold at least 1 of whole numbers, found 0"),
        (lambda: langevin.pac_bayes_bound(-1.0, 10, 0.1), ValueError, "K must be finite and at least 0, found -1"),
        (lambda: langevin.pac_bayes_bound(1.0, 0, 0.1), ValueError, "N must be at least 1, found 0"),
        (lambda: langevin.pac_bayes_bound(1.0, 10, 1.0), ValueError, "delta must be finite and above 0 and below 1"),
        (lambda: langevin.pac_bayes_bound(1.0, 10, 0.1, "best"), ValueError, "form must be one of"),
        (lambda: langevin.binary_kl(1.5, 0.5), ValueError, "q must be finite and at least 0 and at most 1, found 1.5"),
        (lambda: data.digits(900, flip=0.0, seed=0), ValueError, "N must be at most 800, found 900"),
        (lambda: data.digits(10, flip=1.5, seed=0), ValueError, "flip must be .* at most 1, found 1.5"),
        (lambda: langevin.langevin_run(50.0, 20, 0.0, 0, eta=500.0, steps=60),
         (FloatingPointError, ValueError), r"diverged|finite"),
    ],
)  # fmt: skip
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def step(theta=None, grad=None, **changes):
    arguments = {"beta": 1.0, "eta": 0.1, "prior_var": 1.0, **changes}
    theta = torch.zeros(2, 3) if theta is None else theta
    return langevin_step(theta, torch.zeros(2, 3) if grad is None else grad, **arguments)


def ledger_of(stationary=None, times=(0, 1)):
    half = tensor(0.5, 0.5)
    chain = langevin.metropolis_line(half)
    return langevin.ledger(chain, half, half, 1.0, times, half if stationary is None else stationary)


@given(st.integers(2, 8), st.integers(0, 10**6))
@example(6, 197)  # the busiest row sums to an ulp above one
@settings(max_examples=40)
def test_chains_are_stochastic_and_keep_their_law(n, seed):
    target = torch.softmax(2 * torch.randn(n, generator=generator(seed), dtype=F64), 0)
    line, circle = langevin.metropolis_line(target), langevin.random_cycles(target, 2, generator(seed))
    for chain in (line, circle):
        assert (chain >= 0).all()
        torch.testing.assert_close(chain.sum(1), torch.ones(n, dtype=F64))
        torch.testing.assert_close(target @ chain, target)
    flow = target[:, None] * line
    torch.testing.assert_close(flow, flow.T)
    if n > 3:
        flow = target[:, None] * circle
        assert (flow - flow.T).abs().max() > 1e-6  # not reversible


def test_kl_and_gibbs_by_hand():
    assert langevin.kl(tensor(1.0, 0.0), tensor(0.25, 0.75)).item() == pytest.approx(math.log(4))
    assert langevin.kl(tensor(0.5, 0.5), tensor(1.0, 0.0)).item() == math.inf
    torch.testing.assert_close(langevin.gibbs(tensor(0.0, math.log(3)), tensor(0.4, 0.6), 1.0), tensor(2 / 3, 1 / 3))
    torch.testing.assert_close(langevin.gibbs(tensor(0.0, 9.0), tensor(0.4, 0.6), 0.0), tensor(0.4, 0.6))


def test_ledger_against_matrix_powers():
    prior, loss = torch.softmax(torch.arange(5, dtype=F64), 0), torch.arange(5, dtype=F64) ** 2 / 7
    keeps = langevin.gibbs(loss, prior, 1.7)
    chain = langevin.metropolis_line(keeps)
    run = langevin.ledger(chain, prior, loss, 1.7, [0, 1, 9], keeps)
    for row, power in zip(run.laws, (0, 1, 9), strict=True):
        torch.testing.assert_close(row, prior @ torch.linalg.matrix_power(chain, power))
    torch.testing.assert_close(run.budget, 1.7 * (run.energy[0] - run.energy))
    gap = 1 - sorted(torch.linalg.eigvals(chain).real.tolist())[-2]
    assert langevin.spectral_gap(chain, keeps).item() == pytest.approx(gap, rel=1e-9)


def test_diffusion_on_cells_against_the_exponential_and_the_closed_form():
    x = torch.linspace(-4, 4, 41, dtype=F64)
    prior = torch.softmax(-(x**2) / 2, 0)
    beta, loss = 2.0, (x - 1) ** 2 / 2
    energy = loss + x**2 / (2 * beta)
    laws = langevin.diffusion_laws(energy, prior, beta=beta, spacing=0.2, first=2**-6, doublings=9)
    hop = 1 / (beta * 0.2**2)
    z = (beta * energy.diff()).numpy()
    rates = torch.diag(torch.tensor(hop * z / (torch.tensor(z).expm1().numpy())), 1) + torch.diag(
        torch.tensor(hop * -z / torch.tensor(-z).expm1().numpy()), -1
    )
    rates -= torch.diag(rates.sum(1))
    for j in (0, 4, 9):
        exact = prior @ torch.tensor(expm(rates.numpy() * 2.0 ** (j - 6)))
        torch.testing.assert_close(laws[j], exact, rtol=5e-3, atol=1e-6)
    keeps = torch.softmax(-beta * energy, 0)
    assert langevin.kl(laws, keeps).diff().max() <= 1e-12
    closed = OrnsteinUhlenbeck(1.0, 1.0, 1.0, beta)
    times = 2.0 ** (torch.arange(10, dtype=F64) - 6)
    torch.testing.assert_close(langevin.kl(laws, prior), closed.kl_prior(times), rtol=0.06, atol=1e-4)


@pytest.mark.parametrize("drop", [0.0, 1e-10, 1e-3, 20.0, 30.0, 100.0, -30.0])
def test_small_probabilities_of_a_diffusion_are_right(drop):
    start = tensor(0.0, 1.0) if drop >= 0 else tensor(1.0, 0.0)  # the climb is what must be right
    laws = langevin.diffusion_laws(tensor(drop, 0.0), start, beta=1.0, spacing=1.0, first=1.0, doublings=6)
    high = 0 if drop >= 0 else 1
    assert laws[-1, high].item() == pytest.approx(1 / (1 + math.exp(abs(drop))), rel=1e-10, abs=0.0)


def test_bounds_order_and_inverse():
    for K, N in ((0.0, 1), (3.0, 50), (200.0, 1000)):
        maurer, fixed, abstract = (langevin.pac_bayes_bound(K, N, 0.05, f) for f in ("maurer", "fixed", "abstract"))
        assert fixed < maurer and fixed < abstract
        assert (maurer <= abstract) == (math.log(2 * math.sqrt(N)) <= K + math.log(20))
    for q, c in itertools.product((0.0, 0.1, 0.5, 0.97, 1.0), (0.0, 1e-3, 0.2, 3.0)):
        p = langevin.kl_inverse(q, c)
        assert q <= p <= min(1.0, q + math.sqrt(c / 2)) + 1e-8  # kl is flat at p = q
        if p < 1 - 1e-9:
            assert langevin.binary_kl(q, p) == pytest.approx(c, abs=1e-6)


def test_maurer_and_hoeffding_by_enumeration():
    for N, p in ((1, 0.3), (3, 0.5), (6, 0.9)):
        coins = list(itertools.product((0, 1), repeat=N))
        chance = [math.prod(p if x else 1 - p for x in row) for row in coins]
        rows = list(zip(chance, coins, strict=True))
        expectation = sum(w * math.exp(N * langevin.binary_kl(sum(row) / N, p)) for w, row in rows)
        assert langevin.maurer_constant(N, p) == pytest.approx(expectation)
        assert langevin.maurer_constant(N) == pytest.approx(expectation)
        moment = sum(w * math.exp(2.5 * (p - sum(row) / N)) for w, row in rows)
        assert langevin.hoeffding_moment(2.5, N, p) == pytest.approx(moment)


def test_threshold_rules_by_counting():
    train, true = langevin.rule_errors(3, 40, flip=0.6, points=7, generator=generator(5))
    g = generator(5)
    x = torch.randint(7, (3, 40), generator=g)
    coin = torch.rand(3, 40, generator=g)
    y = (x >= 3) ^ (coin < 0.3)
    for rule in range(8):
        wrong = ((x >= rule) != y).double().mean(1)
        torch.testing.assert_close(train[:, rule], wrong)
    many, _ = langevin.rule_errors(4000, 40, flip=0.6, points=7, generator=generator(6))
    assert (many.mean(0) - true).abs().max() < 5 * 0.5 / math.sqrt(4000 * 40)
    _, coins = langevin.rule_errors(1, 4, flip=1.0, points=7, generator=g)
    assert torch.equal(coins, torch.full((8,), 0.5, dtype=F64))


def test_network_gradient_is_autograds():
    net = langevin.TanhNet(3)
    x, y, *_ = data.digits(20, flip=0.0, seed=0)
    theta = net.sample_prior(4, generator()).requires_grad_()
    loss, grad = net.loss_and_grad(theta.detach(), x, y)
    W, v = theta[:, :-3].reshape(4, 3, 64), theta[:, -3:]
    output = (torch.tanh(torch.einsum("chd,nd->cnh", W, x)) * v[:, None]).sum(-1)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(output, y.expand(4, -1), reduction="none").mean(1)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(net.loss(theta.detach(), x, y), expected)
    torch.testing.assert_close(grad, torch.autograd.grad(expected.sum(), theta)[0], rtol=1e-4, atol=1e-7)
    assert torch.equal(net.error(theta.detach(), x, y), ((output > 0) != (y > 0.5)).float().mean(1))
    assert net.d == 3 * 65 and net.prior_var().shape == (net.d,)


def test_digits_and_coins():
    x, y, x_test, y_test = data.digits(300, flip=0.0, seed=1)
    assert x.shape == (300, 64) and x_test.shape == (997, 64) and set(y.tolist()) == {0.0, 1.0}
    _, flipped, _, flipped_test = data.digits(300, flip=1.0, seed=1)
    _, again, _, _ = data.digits(300, flip=1.0, seed=1)
    assert torch.equal(flipped, again)
    changed = (flipped_test != y_test).float().mean().item()
    assert abs(changed - 0.5) < 5 * 0.5 / math.sqrt(997)


def test_a_run_is_reproducible_and_its_history_is_consistent():
    one = langevin.langevin_run(100.0, 30, 1.0, 3, steps=20, record=5)
    two = langevin.langevin_run(100.0, 30, 1.0, 3, steps=20, record=5)
    assert one == two
    assert one["history"]["time"] == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert one["history"]["loss"][-1] == one["end_loss"]
    assert one["gap"] == one["test_error"] - one["train_error"]
    assert langevin.langevin_run(100.0, 30, 1.0, 4, steps=20) != {k: v for k, v in one.items() if k != "history"}


def test_a_run_takes_the_steps_of_the_library():
    """The digits' own run, in two pieces, is `langevin_step` with the noise of the kernel."""
    run = langevin.langevin_run(100.0, 30, 0.0, 2, steps=7, chains=3, width=4, record=5)
    seed = 1_000_003 * 2 + 17
    net, g = langevin.TanhNet(4), generator(seed)
    x, y, *_ = data.digits(30, flip=0.0, seed=2)
    net.sample_prior(256, g)
    theta = net.sample_prior(3, g)
    for step in range(7):
        _, grad = net.loss_and_grad(theta, x, y)
        noise = normals(seed, torch.arange(3), step, [64] * 4 + [4], torch.float32)
        theta = langevin_step(theta, grad, beta=100.0, eta=0.05, prior_var=net.prior_var(), noise=noise)
    assert run["end_loss"] == pytest.approx(net.loss(theta, x, y).mean().item(), rel=1e-5)


def test_pac_bayes_at_the_edges():
    bk, inverse, moment = langevin.binary_kl, langevin.kl_inverse, langevin.hoeffding_moment
    assert [bk(0, 0), bk(1, 1), bk(0.0, 1.0), bk(1.0, 0.0), bk(0.5, 0.0)] == [0, 0, math.inf, math.inf, math.inf]
    assert bk(1e-20, 2e-20) == pytest.approx(1e-20 * (1 - math.log(2)), rel=1e-12)  # 0 if 1 - q is formed
    assert bk(0.5, 5e-324) == pytest.approx(0.5 * (math.log(0.25) - math.log(5e-324)), rel=1e-12)  # 0.5 / p overflows
    assert inverse(0.3, 0.0) == 0.3 and inverse(1.0, 2.0) == 1.0 and inverse(0.4, 1e300) == 1.0
    near = 1 - 2**-53  # 1 - p cancels in p - q
    assert bk(0.3, near) == pytest.approx(0.3 * math.log(0.3) + 0.7 * (math.log(0.7) + 53 * math.log(2)), rel=1e-12)
    assert bk(0.8, near) == pytest.approx(0.8 * math.log(0.8) + 0.2 * (math.log(0.2) + 53 * math.log(2)), rel=1e-12)
    assert langevin.maurer_constant(5, near) == pytest.approx(langevin.maurer_constant(5), rel=1e-12)
    assert inverse(0.3, 700.0) == 1.0  # once a math domain error
    assert inverse(0.0, 1e-20) == pytest.approx(1e-20, rel=1e-12)
    # e^(lam p) overflows, e^(lam p) times the mean does not: 2000 log cosh(1/2) = 240.23
    assert math.log(moment(2000.0, 2000, 0.5)) == pytest.approx(2000 * math.log(math.cosh(0.5)), rel=1e-12)
    assert moment(-2000.0, 2000, 0.5) == pytest.approx(moment(2000.0, 2000, 0.5), rel=1e-12)
    assert moment(1e6, 10, 0.3) == math.inf and moment(5.0, 3, 0.0) == moment(-5.0, 3, 1.0) == moment(0.0, 3, 0.2) == 1
    assert langevin.pac_bayes_bound(0.0, 2**53, 5e-324) == pytest.approx(
        math.sqrt((math.log(2) + 26.5 * math.log(2) - math.log(5e-324)) / 2**54), rel=1e-12
    )


def test_reflection_leaves_what_is_inside_and_knows_wide_boxes():
    z = torch.tensor([0.1234567, -3e-9, 0.0, 1e30])
    assert reflect(torch.zeros(0), 1.0).shape == (0,) and reflect(torch.zeros(3, 0), 1.0).shape == (3, 0)
    assert reflect(torch.tensor(1.25), torch.tensor([1.0])).tolist() == 0.75  # no axis more than z has
    for box in (1e6, 1e30, 3e38):
        assert torch.equal(reflect(z[:3], box), z[:3])
    assert reflect(z[3], 3e38) == z[3]
    with pytest.raises(ValueError, match=r"box must be within the range of float32, found 1e.300"):
        reflect(z, 1e300)
    near = torch.tensor([1e6 + 0.25, -1e6 - 0.25])  # one mirror is exact
    assert torch.equal(reflect(near, 1e6), torch.tensor([1e6 - 0.25, -1e6 + 0.25]))
    most = torch.finfo(torch.float32).max
    assert reflect(torch.tensor([most]), 3e38).item() == pytest.approx(6e38 - most, rel=1e-6)  # 4 box overflows
    assert reflect(torch.tensor([most, -most]), 1e-30).abs().max() <= 1e-30


def test_numbers_are_not_rounded_to_float32():
    theta, grad, noise = torch.randn(3, 4, 2, generator=generator(), dtype=F64)
    exact = torch.tensor([0.7, 0.3], dtype=F64)
    rest = dict(beta=1.1, eta=0.1, noise=noise)
    for values, same in (([0.7, 0.3], exact), (exact.numpy(), exact), (0.7, exact[0])):
        assert torch.equal(reflect(3 * theta, values), reflect(3 * theta, same))
        for name in ("prior_var", "box"):
            given, wanted = (langevin_step(theta, grad, **rest, **{name: v}) for v in (values, same))
            assert torch.equal(given, wanted)


def test_langevin_at_the_edges():
    theta, grad, noise = torch.randn(3, 4, 2, generator=generator(), dtype=F64)
    with pytest.raises(ValueError, match=r"noise must have shape \(4, 2\), found \(1, 2\)"):
        langevin_step(theta, grad, beta=1.0, eta=0.1, prior_var=1.0, noise=noise[:1])
    with pytest.raises(TypeError, match=r"give noise or generator, a torch.Generator, found"):
        langevin_step(theta, grad, beta=1.0, eta=0.1, prior_var=1.0)
    with pytest.raises(ValueError, match="beta, eta and prior_var must give steps within the range of float32"):
        langevin_step(theta.float(), grad.float(), beta=1e-300, eta=0.1, prior_var=1.0, generator=generator())
    cold = langevin_step(theta, grad, beta=1e300, eta=0.1, prior_var=1.0, noise=noise)
    torch.testing.assert_close(cold, theta - 0.1 * grad, rtol=1e-14, atol=0)  # the limit of no temperature
    with pytest.raises(FloatingPointError, match="diverged"):
        langevin_step(theta, 1e200 * grad, beta=1.0, eta=1e200, box=1.0, noise=noise)

    def steep(x):
        return x.square().sum(1) / 2, x

    with pytest.raises(ValueError, match=r"theta must lie inside the box, found 2"):
        mala_step(theta * 0 + 2, steep, beta=1.0, eta=0.1, box=1.0, generator=generator())
    with pytest.raises(ValueError, match=r"value_and_grad must give tensors of shapes \(4,\) and \(4, 2\), found"):
        mala_step(theta, lambda x: (x.sum(), x), beta=1.0, eta=0.1, prior_var=1.0, generator=generator())
    with pytest.raises(TypeError, match="value_and_grad's result must be float64, found float32 tensor"):
        mala_step(theta, lambda x: (x.sum(1), x.float()), beta=1.0, eta=0.1, prior_var=1.0, generator=generator())
    with pytest.raises(ValueError, match=r"value_and_grad must give tensors of .*, found \('int',\)"):
        langevin.run_chains(theta, lambda x: 3, steps=1, beta=1.0, eta=0.1, prior_var=1.0, generator=generator())
    still, noise = torch.full((4, 2), 10.0), dict(prior_var=1.0, generator=generator())
    for beta, eta in ((1e300, 0.1), (1.0, 1e-50)):  # infinity minus infinity: once refused for ever
        with pytest.raises(ValueError, match="beta and beta / eta must be within the range of float32, found beta ="):
            mala_step(still, steep, beta=beta, eta=eta, **noise)
    with pytest.raises(ValueError, match="give beta times a loss in the range of floats at theta, found inf"):
        mala_step(still, steep, beta=1e37, eta=0.1, **noise)
    with pytest.raises(ValueError, match="give a gradient in the range of floats at theta, found nan"):
        mala_step(still, lambda x: (x.sum(1), x * math.nan), beta=1.0, eta=0.1, **noise)
    frozen, moves = mala_step(still.double(), steep, beta=1e300, eta=0.1, **noise)  # the limit: descend
    assert moves.all() and frozen == pytest.approx(9.0)
    with pytest.raises(TypeError, match="adjust must be True or False, found str 'no'"):
        langevin.run_chains(theta, steep, steps=1, beta=1.0, eta=0.1, prior_var=1.0, adjust="no", generator=generator())
    with pytest.raises(ValueError, match="eta must be finite"):  # checked even where no step is taken
        langevin.run_chains(theta, steep, steps=0, beta=1.0, eta=math.nan, prior_var=1.0, generator=generator())


def test_quadratic_at_the_edges():
    cold = OrnsteinUhlenbeck(1.0, 0.0, 1.0, 1e20)  # v_inf / s2 rounds away beside 1
    assert cold.kl_prior(tensor(1e3)).item() == pytest.approx(0.5 * (20 * math.log(10) - 1), rel=1e-12)
    assert cold.kl_prior(tensor(0.0)).item() == 0 and cold.budget(tensor(0.0)).item() == 0
    assert langevin.gauss_kl(tensor(0.0), tensor(1.0), 1e300, 1.0).item() == math.inf
    for bad in (dict(m=1e300), dict(s2=1e-300, beta=1e-300), dict(a=1e300, beta=1e300), dict(s2=1e-310, beta=1e300),
                dict(a=1e150, m=1e100, beta=1e-150)):  # fmt: skip
        with pytest.raises(ValueError, match=r"a, m, s2, beta and d must give .* the range of floats, found a ="):
            OrnsteinUhlenbeck(**(dict(a=1.0, m=1.0, s2=1.0, beta=1.0) | bad))
    with pytest.raises(ValueError, match="t must be at least 0, found -1"):
        cold.mean(tensor(-1.0))
    mean, var = OrnsteinUhlenbeck(1.0, 1.0, 1.0, 1.0).euler_law(torch.tensor(10**6), 0.5)
    assert (mean.item(), var.item()) == pytest.approx((0.5, 1.0))  # (a m / k, v_inf / (1 - eta k / 2))


def test_distances_and_budgets_at_the_edges():
    grid, flat = tensor(0.0, 0.5, 1.0), tensor(1.0, 1.0, 1.0)
    assert chance.kolmogorov_distance(tensor(0.25), grid, flat) == pytest.approx(0.75)  # one point
    assert chance.kolmogorov_distance(tensor(5.0), grid, flat) == 1.0
    assert chance.kolmogorov_distance(tensor(0.25), grid, 1e308 * flat) == pytest.approx(0.75)
    for bad, named in ((dict(sample=tensor()), "sample"), (dict(grid=tensor(-1e308, 0.0, 1e308)), "grid"),
                       (dict(grid=tensor(0.0, 0.5, 0.5)), "grid"),
                       (dict(density=0 * flat), "density"), (dict(density=flat[:2]), "density")):  # fmt: skip
        with pytest.raises(ValueError, match=f"{named} must"):
            chance.kolmogorov_distance(**(dict(sample=grid, grid=grid, density=flat) | bad))
    assert langevin.path_budget(tensor(0.0), tensor(3.0), beta=2.0).tolist() == [0.0]
    assert langevin.path_budget(tensor(0.0), tensor(3.0), beta=2.0, prior_var=1.0).tolist() == [0.0]
    later = langevin.path_budget(tensor(0.0, 1.0, 1e10), tensor(1.0, 1e300, 1.0), beta=1.0, prior_var=1.0)
    assert later[1].item() == pytest.approx(2.5e299)  # the next piece, infinite, is none of its business
    with pytest.raises(ValueError, match=r"beta must be .* at most 3.40282e.38, found 1e.300"):
        langevin.path_budget(torch.zeros(1), torch.zeros(1), beta=1e300)
    for times in (tensor(0.0, 1.0, 1.0), tensor(0.5, 1.0, 2.0), tensor(0.0, 2.0, 1.0)):
        with pytest.raises(ValueError, match="times must start at 0 and increase, found"):
            langevin.path_budget(times, flat, beta=1.0)


def test_the_digits_are_the_same_whatever_the_default_dtype_and_nobody_can_change_them():
    before = data.digits(20, flip=0.5, seed=3)
    data._arrays.cache_clear()
    torch.set_default_dtype(F64)
    try:
        within = data.digits(20, flip=0.5, seed=3)
        prior = langevin.TanhNet(2).sample_prior(3, generator())
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(before, within, strict=True))
    assert torch.equal(prior, langevin.TanhNet(2).sample_prior(3, generator()))
    within[2].zero_()  # the test pictures of one caller
    assert torch.equal(data.digits(20, flip=0.5, seed=3)[2], before[2])


def test_networks_on_digits_at_the_edges():
    net, (x, y, *_) = langevin.TanhNet(2), data.digits(5, flip=0.0, seed=0)
    theta = net.sample_prior(3, generator())
    loss, grad = net.loss_and_grad(theta[:0], x, y)
    assert loss.shape == (0,) and grad.shape == (0, net.d)
    assert net.loss(0 * theta, x, y).tolist() == pytest.approx([math.log(2)] * 3)
    with pytest.raises(ValueError, match="x must hold at least one picture, found none"):
        net.loss(theta, x[:0], y[:0])
    with pytest.raises(ValueError, match="y must hold labels 0 and 1, found 2"):
        net.error(theta, x, y + 2)
    with pytest.raises(ValueError, match="beta, eta and prior_var must give steps within the range of float32"):
        langevin.langevin_run(1e-300, 20, 0.0, 0, steps=1)
    for bad, found in ((dict(record=0), "record must be at least 1"), (dict(eta=math.nan), "eta must be finite")):
        with pytest.raises(ValueError, match=found):
            langevin.langevin_run(50.0, 20, 0.0, 0, steps=1, **bad)
    cold = langevin.langevin_run(1e300, 20, 0.0, 2**63 - 1, steps=2)  # no noise: gradient descent
    assert cold["end_loss"] < math.inf and cold["time"] == 0.1
