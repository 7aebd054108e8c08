"""Valid calls of `implicitly.exercises`."""

from calls import Call
from implicitly.exercises import right_answer

TEXTS = {"id": "any", "unit": "any", "right": "any", "hint": "any"}


def asked(given, **right):
    """An answer to an exercise that was just asked."""

    def make():
        right_answer("ex-demo-one", **right)
        return dict(id="ex-demo-one", given=given)

    return make


CALLS = {
    "implicitly.exercises.right_answer": Call(
        lambda: dict(id="ex-demo-one", value=0.5, within=0.01, unit="ms", right="As it must be.", hint="Draw it.",
                     hints=[(0.25, "Both sides.")]),
        accepts=TEXTS | {"value": "sign zero size", "within": "zero size", "hints": "empty"},
        names={"value": "choice", "within": "hints"},
    ),
    "implicitly.exercises.right_answer#choice": Call(
        lambda: dict(id="ex-demo-one", choice=2, of=3, hints=[(1, "Not that.")]), accepts={"hints": "empty"},
        names={"choice": "value hints"},
    ),
    "implicitly.exercises.answer": Call(
        asked(0.25, value=0.5, within=0.01, hints=[(0.25, "Both sides.")]), accepts={"given": "sign zero size"}
    ),
    "implicitly.exercises.answer#choice": Call(asked(1, choice=2, of=3)),
}  # fmt: skip
