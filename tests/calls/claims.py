"""Valid calls of `implicitly.claims`."""

import torch

from calls import Call
from implicitly.claims import ClaimError

WORDS = dict(id="demo/C1", statement="It is small.", check="cost", math="x", over="3 seeds", seeds=[0, 1, 2])
TEXT = {"statement": "any", "check": "any", "math": "any", "over": "any", "seeds": "none sign"}
#: Another number may be the measured one, and may refute the claim.
NUMBERS = dict.fromkeys(("measured", "at_most", "at_least", "equals", "within", "ideal"), "sign zero size none ints")
NUMBERS |= {"measured": "nonfinite sign zero size number list dtype ints"}


def call(**numbers):
    return Call(
        lambda: WORDS | {name: value() if callable(value) else value for name, value in numbers.items()},
        accepts=TEXT | {name: NUMBERS[name] for name in numbers},
        names=dict.fromkeys(NUMBERS, "ideal at_most at_least equals within"),
        raises=(ClaimError,),
    )


CALLS = {
    "implicitly.claims.claim": call(measured=0.25, at_most=1.0, ideal=0.0),
    "implicitly.claims.claim#at least": call(measured=lambda: torch.tensor(0.25), at_least=0.1, ideal=1.0),
    "implicitly.claims.claim#equals": call(measured=0.25, equals=0.2, within=0.1),
}
