"""A question that is asked before the picture answers it."""

from dataclasses import dataclass
from html import escape

from . import checks
from .text import format_value, label_html, label_text

__all__ = ["Predict"]


@dataclass
class Predict:
    """A question whose answer the reader guesses before the controls can be moved, or skips.

    The picture stands at its first setting meanwhile, so let that setting not give the answer away. What a reader
    says is kept in the reader's browser alone; "Reset" asks again. `$…$` for symbols in every string.

    Args:
        question: one sentence.
        answer: one of `choices`, or without them a number, best computed by the cell.
        choices: two or more answers to choose from.
        tolerance: without `choices`, how far a right number may be off.
        because: a sentence or two, shown with the answer.
        format, unit: how a number is written, as for `Slider`.

    >>> from implicitly.explorer import Predict
    >>> Predict("Which way does the error move?", "up", choices=["up", "down"], because="More noise.").answer
    'up'
    """

    question: str
    answer: str | float
    choices: tuple | None = None
    tolerance: float | None = None
    because: str = ""
    format: str = ""
    unit: str = ""

    def __post_init__(self):
        if not checks.label("Predict: question", self.question).strip():
            raise ValueError(f"Predict: question must be a non-empty string, found {self.question!r}")
        checks.label("Predict: because", self.because)
        checks.spec("Predict: format", self.format)
        checks.string("Predict: unit", self.unit)
        if self.choices is None:
            self.answer = float(checks.number("Predict: answer without choices", self.answer))
            if self.tolerance is None:
                raise ValueError("Predict: tolerance must be given for an answer without choices, found None")
            self.tolerance = float(checks.number("Predict: tolerance", self.tolerance, above=0))
            return
        self.choices = checks.labels("Predict: choices", self.choices)
        if len(set(self.choices)) < max(len(self.choices), 2):
            raise ValueError(f"Predict: choices must be two or more that differ, found {self.choices}")
        if not isinstance(self.answer, str) or self.answer not in self.choices:
            raise ValueError(f"Predict: answer must be one of the choices {self.choices}, {checks.found(self.answer)}")
        if self.tolerance is not None:
            raise ValueError(f"Predict: tolerance is for a number, not for choices, found {self.tolerance!r}")

    @property
    def told(self) -> str:
        """The answer and why, as HTML."""
        if self.choices is None:
            answer = escape(format_value(self.answer, self.format) + self.unit)
        else:
            answer = label_html(self.answer)
        return f"The answer: <b>{answer}</b>. {label_html(self.because)}".strip()

    def spec(self) -> dict:
        """What the page judges an answer by."""
        words = None if self.choices is None else [label_text(choice) for choice in self.choices]
        return {
            "question": label_text(self.question),
            "choices": words,
            "answer": self.answer if self.choices is None else self.choices.index(self.answer),
            "tolerance": self.tolerance,
            "format": self.format,
            "unit": self.unit,
        }

    def still(self) -> str:
        """The question as HTML without a script: the answer is folded."""
        return (
            f"<p><b>Predict first.</b> {label_html(self.question)}</p>"
            f"<details><summary>The answer</summary><p>{self.told}</p></details>"
        )

    def form(self, ident: str) -> str:
        """The question as the page asks it. What will be told has its room from the start, so that nothing moves."""
        if self.choices is None:
            width = max(6, len(format_value(self.answer, self.format)) + 3)
            answers = (
                f'<span><input data-im-guess inputmode="decimal" autocomplete="off" aria-labelledby="{ident}-question" '
                f'style="width:{width}ch"> {escape(self.unit.strip())}</span>'
            )
            longest = format_value(self.answer, self.format) + self.unit
        else:
            answers = "".join(
                f'<label><input type="radio" autocomplete="off" name="{ident}-predict" value="{k}">'
                f"<span>{label_html(choice)}</span></label>"
                for k, choice in enumerate(self.choices)
            )
            longest = max(map(label_text, self.choices), key=len)
        return (
            f'<form class="im-ex-predict" data-im-predict novalidate aria-labelledby="{ident}-question">'
            f'<p id="{ident}-question"><b>Predict first.</b> {label_html(self.question)}</p>'
            f'<div class="im-ex-ask"><div class="im-ex-choice" role="group" aria-labelledby="{ident}-question">'
            f"{answers}</div>"
            '<button class="im-ex-button">Check</button>'
            '<button type="button" class="im-ex-button" data-im-skip>Show me</button></div>'
            f'<p class="im-ex-told" data-im-told><b data-im-verdict>Not quite: you said {escape(longest)}.</b> '
            f"{self.told}</p>"
            '<p class="im-ex-hidden" data-im-heard role="status"></p></form>'
            f"<noscript><details><summary>The answer</summary>{self.told}</details></noscript>"
        )
