"""Every check of the chapter grokking-precision passes, and fails when a fault is planted in what it rests on."""

import pytest
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import grokking

LIBRARY = "implicitly.grokking."
DESCEND, ADD, GAP, LEAST, FORCES, LIMIT, ANGLE = (
    LIBRARY + "descend_rounded", LIBRARY + "train_addition", LIBRARY + "collapse_margin", LIBRARY + "smallest_update",
    LIBRARY + "softmax_forces", LIBRARY + "inverse_square_limit", "implicitly.margins.angle",
)  # fmt: skip


def softmax_rounds_all(X, y, bits, *, rounded, run=grokking.descend_rounded, **how):
    """What is to be rounded is not heeded."""
    return run(X, y, bits, rounded="all", **how)


def softmax_rounds_all_finely(X, y, bits, *, rounded, run=grokking.descend_rounded, **how):
    """The same, with six bits more."""
    return run(X, y, [p + 6 for p in bits], rounded="all", **how)


def weights_not_rounded(X, y, bits, *, rounded, run=grokking.descend_rounded, **how):
    return run(X, y, bits, rounded="softmax", **how)


def two_bits_more(X, y, bits, *, run=grokking.descend_rounded, **how):
    return run(X, y, [p + 2 for p in bits], **how)


def half_the_bits(X, y, bits, *, run=grokking.descend_rounded, **how):
    """Bits count only half from 6 on."""
    return run(X, y, [min(p, 6 + (p - 6) // 2) for p in bits], **how)


def one_bit_less(z, y, bits=None, *, own="difference", forces=grokking.softmax_forces):
    return forces(z, y, max(bits - 1, 2), own=own)


def a_little_long(z, y, bits=None, *, own="difference", forces=grokking.softmax_forces):
    """Three units in the last place too large."""
    return forces(z, y, bits, own=own) * (1 + 3 * 2.0**-bits)


def bent(W, target):
    """An angle that grows like the square of the distance."""
    from implicitly.margins.svm import direction_error

    return 50 * direction_error(W, target) ** 2


def to_the_margin(X, y):
    """The tail's power is not heeded: the largest margin."""
    from implicitly import margins

    return margins.hard_margin_svm(X, y).W


def near_the_margin(X, y, *, limit=grokking.inverse_square_limit):
    """Nine tenths of the way to the largest margin."""
    V, W = limit(X, y), to_the_margin(X, y)
    return 0.1 * V / V.norm() + 0.9 * W / W.norm()


def a_little_off(X, y, *, limit=grokking.inverse_square_limit):
    V = limit(X, y)
    V[0, 0] += 1e-3 * V.norm()
    return V


def with_options(**options):
    """Training whose options are these wherever they are given."""

    def changed(n, width, *, run=grokking.train_addition, **how):
        return run(n, width, **{k: options.get(k, v) for k, v in how.items()})

    return changed


def also(option, **options):
    """Training in which one option brings others."""

    def changed(n, width, *, run=grokking.train_addition, **how):
        return run(n, width, **(how | options if how.get(option) else how))

    return changed


def everyone_projected(n, width, *, run=grokking.train_addition, **how):
    return run(n, width, **(how | {"orthogonal": True}))


def too_slow(n, width, *, rate, run=grokking.train_addition, **how):
    return run(n, width, rate=rate / 40, **how)


def slightly_scaled(n, width, *, run=grokking.train_addition, **how):
    """Mended forces that are a tenth too long."""
    found = run(n, width, **how)
    return type(found)(**{**vars(found), "gradient": found.gradient * (1.1 if how.get("own") == "sum" else 1)})


ONE_SEED = {"range(3), at=marks": "range(1), at=marks"}

FAULTS = [
    Fault("C1", "own", GAP, scaled(GAP, 1 + 4e-15)),
    Fault("C1", "own", GAP, scaled(GAP, 1.05), far=True),
    Fault("C1", "exact", FORCES, one_bit_less),
    Fault("C1", "exact", GAP, scaled(GAP, 0.9)),
    Fault("C1", "other", FORCES, one_bit_less, far=True),
    Fault("C1", "other", FORCES, a_little_long),
    Fault("C2", "grid", LEAST, scaled(LEAST, 1.5)),
    Fault("C2", "reach", LEAST, scaled(LEAST, 8)),
    Fault("C2", "reach", DESCEND, weights_not_rounded),
    Fault("C2", "control", DESCEND, softmax_rounds_all),
    Fault("C3", "weights", DESCEND, weights_not_rounded),
    Fault("C3", "weights", DESCEND, two_bits_more),
    Fault("C3", "softmax", DESCEND, softmax_rounds_all, far=True),
    Fault("C3", "softmax", DESCEND, softmax_rounds_all_finely),
    Fault("C3", "pace", DESCEND, half_the_bits),
    Fault("C3", "angle", ANGLE, bent),
    Fault("C4", "limit", LIMIT, to_the_margin, far=True),
    Fault("C4", "limit", LIMIT, a_little_off),
    Fault("C4", "elsewhere", ANGLE, bent),
    Fault("C4", "control", LIMIT, to_the_margin, far=True),
    Fault("C4", "control", LIMIT, near_the_margin),
    Fault("C5", "fitted", ADD, too_slow, ONE_SEED),
    Fault("C5", "spoiled", ADD, with_options(bits=None), ONE_SEED),
    Fault("C5", "spoiled", ADD, with_options(bits=12), ONE_SEED),
    Fault("C5", "mended", ADD, with_options(own="difference"), ONE_SEED, far=True),
    Fault("C5", "mended", ADD, slightly_scaled, ONE_SEED),
    Fault("C5", "generalizes", ADD, with_options(orthogonal=False), ONE_SEED, far=True),
    Fault("C5", "generalizes", ADD, also("orthogonal", share=0.65), ONE_SEED),
    Fault("C5", "others", ADD, everyone_projected, ONE_SEED),
    Fault("C5", "long", ADD, with_options(scale=1.0)),
    Fault("C5", "long", ADD, with_options(scale=1.1)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("grokking-precision", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("grokking-precision", FAULTS)
