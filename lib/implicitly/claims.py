"""Claims that run: a numbered statement of the book and the comparison that can refute it.

A claim has one id, ``"<slug>/C<k>"``, shared by its theorem box, its check and its test. One claim
may have several checks (``check="cost"``). The verdict is printed as one short line. The box shows the
measured value and the margin too, and the output's metadata stores them, from which the book's claims
page is generated. Both may be nothing but rounding, which differs from one CPU to the next, so no test
compares them as text: in the box they stand in ``<data>``, which nbval blanks (``tests/nbval.cfg``).
"""

import html
import math as _math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, SupportsFloat

__all__ = ["Claim", "ClaimError", "claim", "largest", "smallest"]

_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*/C[1-9][0-9]*")
_CHECK = re.compile(r"[a-z0-9]+(?:[ -][a-z0-9]+)*")


class ClaimError(AssertionError):
    """A claim's check failed: the measured value breaks the stated comparison."""


@dataclass(frozen=True)
class Claim:
    """A check that ran, with everything the claims page shows of it.

    ``used`` is the share of the allowed distance that the measured value has used up (0: ideal, 1: at
    the bound, more: refuted); ``margin`` is what is left, ``1 - used``.
    """

    id: str
    statement: str
    math: str | None
    check: str | None
    relation: str  # "at most", "at least" or "equals"
    measured: float
    stated: float
    within: float | None
    used: float
    holds: bool
    over: str
    seeds: tuple[int, ...] | None

    @property
    def margin(self) -> float:
        """Room left before the claim would be refuted, as a share of the room there was."""
        return 1.0 - self.used

    @property
    def anchor(self) -> str:
        """Id of the check's line in HTML."""
        label = f"{self.id} {self.check}" if self.check else self.id
        return "check-" + re.sub(r"[^A-Za-z0-9]+", "-", label)

    def __str__(self) -> str:
        label = f"{self.id} ({self.check})" if self.check else self.id
        return f"{label}: {'holds' if self.holds else 'FAILS'}"

    def as_dict(self) -> dict:
        """The claim as JSON-ready data: values at full precision, and as HTML under "display"."""
        display = {"measured": number_html(self.measured), "stated": self._stated_html()}
        return {**asdict(self), "margin": self.margin, "anchor": self.anchor, "display": display}

    def _stated_html(self) -> str:
        within = f" ± {number_html(self.within)}" if self.within else ""
        return number_html(self.stated) + within

    def _ipython_display_(self) -> None:
        """Nothing: `claim` has shown the claim already, and a cell that ends in one must not show it twice."""

    def line(self) -> str:
        """HTML of the check: one line that opens. It reads without a style sheet, as GitHub and Colab show it.

        What may be nothing but rounding stands in ``<data>``.
        """
        sign = {"at most": "≤", "at least": "≥", "equals": "stated"}[self.relation]
        verdict = "holds" if self.holds else "fails"
        ident, statement, over = map(html.escape, (self.id, self.statement, self.over))
        rows = [("claim", f'<a href="#{ident}">{ident}</a>'), ("over", over)]
        if self.seeds:
            rows.append(("seeds", html.escape(spans(self.seeds))))
        # `+ 0.0` turns a rounded -0.0 into 0.0
        rows.append(("room left", f"<data>{round(100 * self.margin) + 0.0:.0f} %</data>"))
        return (
            f'<details class="im-check" id="{self.anchor}"><summary>'
            f'<span class="im-verdict">{verdict}</span> '
            f'<span class="im-what">{html.escape(self.check or ident)}</span> · '
            f'<span class="im-measured">measured <b><data>{number_html(self.measured)}</data></b></span> · '
            f'<span class="im-stated">{sign} <b>{self._stated_html()}</b></span></summary>'
            f'<p class="im-check-statement">{statement}</p>'
            f"<dl>{''.join(f'<dt>{term}</dt><dd>{what}</dd>' for term, what in rows)}</dl></details>"
        )


def spans(numbers: Sequence[int]) -> str:
    """Whole numbers in words that stay short: ``0 to 99``, ``3, 7, 8``, ``12 of them, 0 to 400``."""
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]} to {numbers[-1]}"
    if len(numbers) <= 6:
        return ", ".join(map(str, numbers))
    return f"{len(numbers)} of them, {min(numbers)} to {max(numbers)}"


def number_html(value: float, spec: str = "") -> str:
    """A number as the book writes it: ``6.92 × 10<sup>−8</sup>``, with three significant digits or as `spec` says.

    `spec` is one of Python's formats: ".2f", "+.1e", ".0%", "d".
    """
    if spec:
        spec = re.sub(r"^\+?", r"\g<0>,", spec)
        text = format(int(value) if spec.endswith("d") else value, spec)
        text = text[1:] if text[0] in "+-" and not re.search("[1-9]", text.split("e")[0]) else text  # no -0.00
    elif value == 0:
        return "0"
    elif 1e-3 <= abs(value) < 1e5:
        digits = max(0, 2 - _math.floor(_math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:.2e}"
        text = re.sub(r"\.?0*e", "e", text)
    text = text.replace(",", "\N{THIN SPACE}").replace("-", "−")
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return mantissa
    power = f"10<sup>{'−' * exponent.startswith('−')}{int(exponent[1:])}</sup>"
    return power if mantissa == "1" and not spec else f"{mantissa} × {power}"


def _scalar(name, value) -> float:
    """`value` as a float; a 0-d array is a scalar, anything else is refused, one of shape (1,) too."""
    found = type(value).__name__
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        if getattr(value, "is_meta", False):
            raise TypeError(f"claim: {name} must be one real number (a scalar), found a tensor without data")
        value = value.item()
    elif hasattr(value, "shape"):
        found += f" of shape {tuple(value.shape)}"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"claim: {name} must be one real number (a scalar), found {found}")
    return float(value)


def _text(name, value) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"claim: {name} must be a non-empty string, found {value!r}")
    return value


def _seeds(values) -> tuple[int, ...]:
    try:
        seeds = tuple(operator.index(seed) for seed in values)
    except TypeError:
        raise TypeError(f"claim: seeds must be a sequence of whole numbers, found {values!r}") from None
    if not seeds:
        raise ValueError(f"claim: seeds must not be empty (leave them out where nothing is drawn), found {values!r}")
    return seeds


def claim(
    id: str,
    statement: str,
    *,
    measured: SupportsFloat,
    at_most: SupportsFloat | None = None,
    at_least: SupportsFloat | None = None,
    equals: SupportsFloat | None = None,
    within: SupportsFloat | None = None,
    ideal: SupportsFloat | None = None,
    math: str | None = None,
    over: str | None = None,
    seeds: Sequence[int] | None = None,
    check: str | None = None,
) -> Claim:
    """Check one claim of the book; show the result, and raise if the claim fails.

    Exactly one of `at_most`, `at_least`, `equals` states the comparison.

    Args:
        id: ``"<slug>/C<k>"``, the label of the theorem box.
        statement: what the check asserts, in one plain sentence.
        measured: the value found by running; a finite real scalar (a 0-d tensor will do). Take the worst
            of several with :func:`largest` or :func:`smallest`.
        at_most: bound ``b`` of ``measured <= b``.
        at_least: bound ``b`` of ``measured >= b``.
        equals: value ``v`` of ``|measured - v| <= within``.
        within: tolerance of `equals`, at least 0; required with it, refused without it.
        ideal: the best value there can be, finite; the margin is measured from it. For `at_most` the default
            is 0 (so a bound that is not positive needs one). For `at_least` without `ideal`, the room
            is the factor by which the bound is exceeded, and both must be positive.
        math: the statement in TeX, without dollars.
        over: what was measured over, for example ``"3 seeds of 20 000 starts"``; by default "exact".
            Required with `seeds`: what was drawn at random is not exact.
        seeds: the seeds used, if any; whole numbers.
        check: short name of this check, when one claim has several.

    Returns:
        The :class:`Claim`, whose ``margin`` is the room left as a share of the room there was.

    Raises:
        ClaimError: the comparison fails, or `measured` is not finite.
        ValueError, TypeError: an argument is not what is described above.

    Example:
        >>> result = claim("demo/C1", "A sine is at most its angle.", measured=0.75, at_most=1.0)
        demo/C1: holds
        >>> result.margin
        0.25
    """
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ValueError(f"claim: id must look like 'score-flow/C2', found {id!r}")
    if check is not None and not (isinstance(check, str) and _CHECK.fullmatch(check)):
        raise ValueError(f"claim: check must be a few lower-case words, found {check!r}")
    _text("statement", statement)
    seeds = None if seeds is None else _seeds(seeds)
    if over is None and seeds is not None:
        raise ValueError("claim: over is required with seeds; say what was drawn, found None")
    over = "exact" if over is None else _text("over", over)
    if math is not None:
        _text("math", math)
    given = {"at most": at_most, "at least": at_least, "equals": equals}
    given = {relation: value for relation, value in given.items() if value is not None}
    if len(given) != 1:
        found = ", ".join(given) or "none"
        raise ValueError(f"claim: give exactly one of at_most, at_least, equals; found {found}")
    ((relation, value),) = given.items()
    name = relation.replace(" ", "_")
    stated, measured = _scalar(name, value), _scalar("measured", measured)
    if not _math.isfinite(stated):
        raise ValueError(f"claim: {name} must be finite, found {stated}")
    if relation == "equals" and within is None:
        raise ValueError("claim: equals needs within, found None")
    if relation != "equals" and within is not None:
        raise ValueError(f"claim: within goes with equals, found it with {name}")
    if ideal is not None and relation == "equals":
        raise ValueError("claim: ideal goes with at_most or at_least; equals has its own")
    within = None if within is None else _scalar("within", within)
    if within is not None and not (_math.isfinite(within) and within >= 0):
        raise ValueError(f"claim: within must be finite and not negative, found {within}")
    ideal = None if ideal is None else _scalar("ideal", ideal)
    if ideal is not None and not _math.isfinite(ideal):  # from infinity every value is equally far
        raise ValueError(f"claim: ideal must be finite, found {ideal}")

    used, holds = _compare(relation, measured, stated, within, ideal)
    result = Claim(
        id=id, statement=statement, math=math, check=check, relation=relation,
        measured=measured, stated=stated, within=within, used=used, holds=holds,
        over=over, seeds=seeds,
    )  # fmt: skip
    if not holds:
        tolerance = f" within {within:g}" if within is not None else ""
        raise ClaimError(f"{result}: {statement} Measured {measured:g}, stated {relation} {stated:g}{tolerance}.")
    _show(result)
    return result


def largest(*values: Any, key: Callable[[Any], Any] | None = None) -> Any:
    """Python's ``max``, but a value that is NaN, or whose key is, comes first wherever it stands.

    ``max([0.5, math.nan])`` is 0.5: a claim that took the worst of several so could not fail for the NaN.
    """
    return _extreme(max, values, key)


def smallest(*values: Any, key: Callable[[Any], Any] | None = None) -> Any:
    """Python's ``min``, but a value that is NaN, or whose key is, comes first wherever it stands."""
    return _extreme(min, values, key)


def _extreme(pick, values, key):
    values = list(values[0] if len(values) == 1 else values)
    for value in values:
        judged = value if key is None else key(value)
        if judged != judged:
            return value
    return pick(values, key=key)


def _compare(relation, measured, stated, within, ideal) -> tuple[float, bool]:
    """(share of the allowed distance used, whether the comparison holds); not finite never holds."""
    if not _math.isfinite(measured):
        return _math.inf, False
    if relation == "equals":
        distance = abs(measured - stated)
        return (distance / within if within else float(distance > 0)), distance <= within
    holds = measured <= stated if relation == "at most" else measured >= stated
    if ideal is None and relation == "at least":
        if stated <= 0:
            raise ValueError(f"claim: at_least needs ideal= where it is not positive, found {stated:g}")
        return (stated / measured if measured > 0 else _math.inf), holds
    ideal = 0.0 if ideal is None else ideal
    room = stated - ideal if relation == "at most" else ideal - stated
    if not room > 0:
        where = "below" if relation == "at most" else "above"
        raise ValueError(f"claim: ideal must lie {where} {relation.replace(' ', '_')} = {stated:g}, found {ideal:g}")
    distance = measured - ideal if relation == "at most" else ideal - measured
    return max(0.0, distance / room), holds


def _show(result: Claim) -> None:
    """One line of text anywhere; in Jupyter also the box, with the data in the output's metadata."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = lambda: None  # noqa: E731
    if get_ipython() is None:
        print(result)
        return
    display(
        {"text/plain": str(result), "text/html": result.line()},
        # nbval never compares metadata: full-precision values may differ elsewhere.
        metadata={"implicitly": {"claim": result.as_dict()}},
        raw=True,
    )
