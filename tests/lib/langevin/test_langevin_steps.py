"""Langevin and Metropolis-adjusted steps, reflections: by formula, by detailed balance, at the edges."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from langevin_inputs import F64, generator, tensor
from scipy.stats import norm

from implicitly import langevin
from implicitly.langevin import langevin_step, mala_step, reflect


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
