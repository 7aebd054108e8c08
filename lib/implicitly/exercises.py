"""Exercises that answer: the right answer that a run computed, and what a reader's answer is told.

A chapter's cell below an exercise calls `right_answer`. The value goes into the output's metadata, where the book's
page finds it, and stays in the session, where `answer` finds it: page and notebook say the same words.

The library jupyterquiz was tried first. Its questions are drawn by a script of their own that tells screen readers
nothing, keeps nothing, gives MathJax its formulas and may fetch it from elsewhere, and compares numbers by rounding to
digits, not within a stated distance; so this is our own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from implicitly import _validate

__all__ = ["Verdict", "answer", "right_answer"]

_ID = re.compile(r"ex-[a-z0-9]+(?:-[a-z0-9]+)*")
_ROUNDING = 1e-12  # of the right answer: 1/3 typed and 1/3 computed may differ in the last bits


@dataclass(frozen=True)
class _Right:
    """What is right, and what is said of right and of wrong answers."""

    id: str
    value: float | None
    within: float | None
    choice: int | None
    of: int | None
    unit: str
    right: str
    hint: str
    hints: tuple[tuple[float, str], ...]

    def is_right(self, given: float) -> bool:
        return given == self.choice if self.choice is not None else _near(given, self.value, self.within)

    def hint_for(self, given: float) -> str:
        """The hint for this wrong answer; the general one where there is none."""
        within = 0.0 if self.choice is not None else self.within
        return next((text for wrong, text in self.hints if _near(given, wrong, within)), self.hint)


@dataclass(frozen=True)
class Verdict:
    """What `answer` found: whether the answer is `right`, and what there is to say in `words`."""

    right: bool
    words: str

    def __repr__(self) -> str:
        return self.words

    def _repr_markdown_(self) -> str:
        return self.words


_RIGHT: dict[str, _Right] = {}  # of this session


def _near(given: float, value: float, within: float) -> bool:
    return abs(given - value) <= within * (1 + 1e-9) + _ROUNDING * abs(value)


def _id(value) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(f"id must be the label of an exercise, like 'ex-score-flow-half', found {value!r}")
    return value


def _text(name: str, value) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, found {type(value).__name__}")
    return value.strip()


def _hints(hints, is_choice: bool, of: int | None) -> tuple[tuple[float, str], ...]:
    if isinstance(hints, str | bytes) or not isinstance(hints, Sequence):
        raise TypeError(f"hints must be a sequence of pairs (wrong answer, text), found {type(hints).__name__}")
    found = []
    for i, pair in enumerate(hints):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"hints[{i}] must be a pair (wrong answer, text), found {pair!r}")
        name = f"hints[{i}]"
        wrong = _validate.whole(name, pair[0], at_least=1, at_most=of) if is_choice else _validate.number(name, pair[0])
        found.append((wrong, _text(name, pair[1])))
    return tuple(found)


def right_answer(
    id: str,
    value: float | None = None,
    *,
    within: float | None = None,
    choice: int | None = None,
    of: int | None = None,
    unit: str = "",
    right: str = "",
    hint: str = "",
    hints: Sequence[tuple[float, str]] = (),
) -> None:
    """Say what the right answer to an exercise is: a number within a distance, or one of several options.

    The exercise has this id as its label, the class ``answer``, and, if it is a choice, a numbered list of its options
    at its end. Texts may hold ``$formulas$`` and code in backticks.

    Args:
        id: label of the exercise, ``"ex-<slug>-<name>"``.
        value: the right number, computed by the run; finite.
        within: how far an answer may be from `value`, absolute, finite and at least 0. Required with `value`.
        choice: instead of `value`: number of the right option, 1 for the first.
        of: how many options there are, at least 2. Required with `choice`.
        unit: unit of `value`, shown beside the field.
        right: a sentence that adds something, said after "Right."
        hint: said of a wrong answer for which there is no hint of its own, and offered after one that has.
        hints: pairs (wrong answer, text); a number matches within `within`, an option by its number.

    Raises:
        ValueError, TypeError: an argument is not what is described above, or a hint is for the right answer.

    Example:
        >>> right_answer("ex-demo-half", 0.25, within=0.001, hints=[(0.5, "Both sides count.")])
        from implicitly import answer; answer("ex-demo-half", ...)
        >>> answer("ex-demo-half", 1/2)
        Not yet. Both sides count.
    """
    id = _id(id)
    if (value is None) == (choice is None):
        raise ValueError("give value or choice, one of the two, found " + ("neither" if value is None else "both"))
    if choice is None:
        if of is not None:
            raise ValueError("of goes with choice, found it with value")
        value = _validate.number("value", value)
        within = _validate.number("within", within, at_least=0)
    else:
        if within is not None or unit:
            raise ValueError(f"{'within' if within is not None else 'unit'} goes with value, found it with choice")
        of = _validate.whole("of", of, at_least=2)
        choice = _validate.whole("choice", choice, at_least=1, at_most=of)
    words = {"unit": _text("unit", unit), "right": _text("right", right), "hint": _text("hint", hint)}
    found = _Right(id, value, within, choice, of, **words, hints=_hints(hints, choice is not None, of))
    for i, (wrong, _) in enumerate(found.hints):
        if found.is_right(wrong):
            raise ValueError(f"hints[{i}] must be for a wrong answer, found {wrong:g}, which is right")
    _RIGHT[id] = found
    _show(found)


def answer(id: str, given: float) -> Verdict:
    """Whether an answer to an exercise is right, and a hint if it is not: what the book's page says of it.

    Args:
        id: label of the exercise, as printed below it.
        given: a number, finite; of a choice the number of the option, 1 for the first.

    Returns:
        :class:`Verdict`, shown in words at the end of a cell.

    Raises:
        ValueError: the cell below the exercise has not been run in this session, or `given` is no option.
        TypeError: `given` is not a number.
    """
    found = _RIGHT.get(_id(id))
    if found is None:
        known = ", ".join(map(repr, _RIGHT)) or "none"
        wanted = "an exercise of this session (run the cell below it first)"
        raise ValueError(f"id must be {wanted}, found {id!r}, of {known}")
    if found.choice is None:
        given = _validate.number("given", given)
    else:
        given = _validate.whole("given", given, at_least=1, at_most=found.of)
    is_right = found.is_right(given)
    words = ("Right.", found.right) if is_right else ("Not yet.", found.hint_for(given))
    return Verdict(is_right, " ".join(filter(None, words)))


def _show(found: _Right) -> None:
    """How the reader of a notebook answers; in Jupyter also the data for the book's page."""
    text = f'from implicitly import answer; answer("{found.id}", ...)'
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = lambda: None  # noqa: E731
    if get_ipython() is None:
        print(text)
        return
    # nbval never compares metadata: full precision may differ elsewhere.
    display({"text/plain": text}, metadata={"implicitly": {"answer": vars(found)}}, raw=True)
