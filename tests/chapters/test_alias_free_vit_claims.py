"""Every check of the chapter alias-free-vit passes, and fails when a fault is planted in what it rests on."""

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import equivariance

LIBRARY = "implicitly.equivariance."
FEWER = {"part[:100]": "part[:24]"}


def named(fault, words):
    fault.__name__ = words
    return fault


def stride_leaks(share):
    """A share of what the plain stride shows comes along with the low-pass."""

    def fault(x, size, *, low_pass=True, down=equivariance.downsample):
        y = down(x, size, low_pass=low_pass)
        return y if x.shape[-1] % size else y + share * down(x, size, low_pass=False)

    return named(fault, f"leaks {share:g}")


def longer(x, shift, *, shift_by=equivariance.fractional_shift):
    """Shifts that are a little too long."""
    return shift_by(x, [s * (1 + 1e-11) for s in shift])


def curved(share):
    """A square on the pixels is added, with no fine grid."""

    def fault(x, kind, *, coefficients=None, factor=2.0, size=None, activate=equivariance.activate):
        y = activate(x, kind, coefficients=coefficients, factor=factor, size=size)
        return y + share * x[..., : y.shape[-1], : y.shape[-1]].square()

    return named(fault, f"square {share:g}")


def finer(share, kinds):
    """Nearly as if the fine grid were eight times as fine."""

    def fault(x, kind, *, coefficients=None, factor=2.0, size=None, activate=equivariance.activate):
        y = activate(x, kind, coefficients=coefficients, factor=factor, size=size)
        if kind not in kinds or factor is None:
            return y
        good = activate(x, kind, coefficients=coefficients, factor=8.0, size=size)
        return good + share * (y - good)

    return named(fault, f"finer {share:g}")


def kinked(share):
    """GELU with a kink."""

    def fault(x, kind, *, coefficients=None, factor=2.0, size=None, activate=equivariance.activate):
        y = activate(x, kind, coefficients=coefficients, factor=factor, size=size)
        return y + share * activate(x, "relu", factor=factor, size=size) if kind == "gelu" else y

    return named(fault, f"kink {share:g}")


def attends_squared(share):
    def fault(qkv, temperature, kind, attend=equivariance.attend):
        y = attend(qkv, temperature, kind)
        return y + share * qkv[:, : y.shape[1]].square()

    return named(fault, f"square {share:g}")


def attends_by_place(share):
    def fault(qkv, temperature, kind, attend=equivariance.attend):
        y = attend(qkv, temperature, kind)
        places = torch.arange(y.shape[-1] ** 2, dtype=y.dtype).reshape(y.shape[-2:])
        return y + share * places * y

    return named(fault, f"place {share:g}")


def nearly_linear(share):
    """Every attention is close to the one across channels."""

    def fault(qkv, temperature, kind, attend=equivariance.attend):
        good = attend(qkv, temperature, "cross-covariance")
        return good + share * (attend(qkv, temperature, kind) - good)

    return named(fault, f"nearly across channels {share:g}")


def norm_squared(x, weight=None, bias=None, *, mean="channels", norm=equivariance.sample_norm):
    """A square is added."""
    return norm(x, weight, bias, mean=mean) + 1e-11 * x.square()


def norm_leaks(x, weight=None, bias=None, *, mean="channels", norm=equivariance.sample_norm):
    """The mean is not quite subtracted."""
    return norm(x, weight, bias, mean=mean) + 2e-11 * x


def nearly_one_number(x, weight=None, bias=None, *, norm=equivariance.token_norm):
    good = equivariance.sample_norm(x, weight, bias)
    return good + 0.05 * (norm(x, weight, bias) - good)


def other_nets(names, other):
    """The file holds other networks under these names."""

    def fault(name, *, steps=400, nets=equivariance.stored_digit_nets):
        return nets(other, steps=400) if name in names else nets(name, steps=steps)

    return named(fault, f"holds {other}")


def one_answer(name, *, steps=400, nets=equivariance.stored_digit_nets):
    """Each network says 0."""
    found = nets(name, steps=steps)
    for net in found:
        net.head_bias[0] += 1e6
    return found


def not_trained(name, *, steps=400, nets=equivariance.stored_digit_nets):
    """The alias-free ones are those of the short training."""
    return nets(name, steps=100 if name == "alias-free, quadratic" else steps)


def partly(name_of, other, steps_of, seeds):
    """Under a name, after so many steps, these of the three networks are others."""

    def fault(name, *, steps=400, nets=equivariance.stored_digit_nets):
        found = nets(name, steps=steps)
        if (name, steps) != (name_of, steps_of):
            return found
        return [
            b if seed in seeds else a for seed, (a, b) in enumerate(zip(found, nets(other, steps=steps), strict=True))
        ]

    return named(fault, f"holds partly {other}")


STRIDED = tuple(name for name in equivariance.DESIGNS if name.startswith("strided"))
FREE = ("alias-free, quadratic", "alias-free, GELU")
STRIDE, USUAL = "only: plain stride", "strided, softmax, positions"
FAULTS = [
    Fault("C1", "low-pass", LIBRARY + "downsample", stride_leaks(1e-11)),
    Fault("C1", "low-pass", LIBRARY + "downsample", stride_leaks(1.0), far=True),
    Fault("C1", "one wave", LIBRARY + "fractional_shift", longer),
    Fault("C2", "enough points", LIBRARY + "activate", curved(1e-11)),
    Fault("C2", "enough points", LIBRARY + "activate", curved(0.1), far=True),
    Fault("C2", "one point less", LIBRARY + "activate", finer(0.003, ("poly",))),
    Fault("C2", "smooth", LIBRARY + "activate", kinked(0.1)),
    Fault("C2", "kink", LIBRARY + "activate", kinked(0.01)),
    Fault("C2", "half a pixel", LIBRARY + "activate", curved(1e-11)),
    Fault("C3", "across channels", LIBRARY + "attend", attends_squared(1e-11)),
    Fault("C3", "pointwise parts", LIBRARY + "attend", nearly_linear(0.02)),
    Fault("C4", "between tokens", LIBRARY + "attend", nearly_linear(0.05)),
    Fault("C4", "whole tokens", LIBRARY + "attend", attends_by_place(1e-13)),
    Fault("C4", "by hand", LIBRARY + "attend", scaled(LIBRARY + "attend", 1 + 1e-10)),
    Fault("C5", "one number", LIBRARY + "sample_norm", norm_squared),
    Fault("C5", "a number a token", LIBRARY + "token_norm", nearly_one_number),
    Fault("C5", "constant", LIBRARY + "sample_norm", norm_leaks),
    Fault("C6", "untrained", LIBRARY + "activate", curved(1e-10)),
    Fault("C6", "untrained", LIBRARY + "activate", curved(0.1), far=True),
    Fault("C6", "one piece", LIBRARY + "activate", finer(0.01, ("gelu",))),
    Fault("C6", "whole tokens", LIBRARY + "attend", attends_by_place(1e-10)),
    Fault("C7", "learned", LIBRARY + "stored_digit_nets", one_answer, FEWER),
    Fault("C7", "still exact", LIBRARY + "activate", curved(1e-10)),
    Fault("C7", "nothing lost", LIBRARY + "stored_digit_nets", other_nets(FREE, STRIDE), FEWER),
    Fault("C7", "agreement", LIBRARY + "stored_digit_nets", other_nets(FREE, STRIDE), FEWER),
    Fault("C7", "strided", LIBRARY + "stored_digit_nets", other_nets(STRIDED, "only: softmax"), FEWER),
    Fault("C7", "gap", LIBRARY + "stored_digit_nets", not_trained),
    Fault("C7", "ahead", LIBRARY + "stored_digit_nets", partly(USUAL, "alias-free, quadratic", 100, [0])),
    Fault("C7", "stride alone", LIBRARY + "stored_digit_nets", partly(STRIDE, "only: softmax", 400, [1, 2])),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("alias-free-vit", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("alias-free-vit", FAULTS)
