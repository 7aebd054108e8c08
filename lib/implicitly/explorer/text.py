"""Numbers and labels, written the same way in Python and in the page (see ``format.js``)."""

import html
import re
from decimal import ROUND_HALF_UP, Context, Decimal
from string import Formatter
from typing import SupportsFloat

_SPEC = re.compile(r"(?:\.(\d+))?([fge%d]?)")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_ITALIC = (
    "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ iota ι kappa κ lambda λ mu μ "
    "nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω ell ℓ partial ∂"
)
_ROMAN = (
    "Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω nabla ∇ infty ∞ times × cdot · "
    "pm ± le ≤ leq ≤ ge ≥ geq ≥ ne ≠ neq ≠ approx ≈ to → mid | circ ∘ sum ∑ prod ∏ sqrt √ star ⋆ "
    "log log ln ln exp exp min min max max sin sin cos cos tan tan { { } } % % | ‖"
)


def _pairs(words):
    words = words.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_SYMBOLS = _pairs(_ITALIC)
_UPRIGHT = {**_pairs(_ROMAN), ",": "\N{THIN SPACE}", ";": " ", " ": " "}
_TEX = re.compile(r"\\([A-Za-z]+|.)|([{}^_])|([A-Za-z])|(\s+)|(.)")


def format_value(value: SupportsFloat, spec: str = "") -> str:
    """`value` under `spec`: ``.2f``, ``.1e``, ``.3g``, ``.0%``, ``d`` or empty (at most 3 digits).

    A true minus sign, ``1.5 × 10⁻³`` for exponents, ``90 %`` for percent, a dash for NaN.
    """
    digits, kind = check_spec(spec)
    value = float(value)
    if value != value:
        return "–"
    if kind == "d":
        text = _fixed(value, 0)
    elif kind == "%":
        text = _fixed(100 * value, digits or 0) + "\N{NARROW NO-BREAK SPACE}%"
    elif kind == "f":
        text = _fixed(value, 6 if digits is None else digits)
    elif kind == "e":
        mantissa, exponent = _scientific(value, 6 if digits is None else digits)
        text = f"{mantissa} × 10" + str(exponent).translate(_SUPERSCRIPT)
    else:
        digits = digits or 3
        mantissa, exponent = _scientific(value, digits - 1)
        if value and not -4 <= exponent < max(digits, 5):
            text = f"{_trim(mantissa)} × 10" + str(exponent).translate(_SUPERSCRIPT)
        else:
            text = _trim(_fixed(value, max(0, digits - 1 - exponent)))
    if text.lstrip("-").strip("0.\N{NARROW NO-BREAK SPACE}%") == "":
        text = text.lstrip("-")  # a rounded -0.00 is 0.00
    return text.replace("-", "−", 1)


def _fixed(value, digits):
    """As JavaScript rounds: the exact binary value, halves away from zero."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, Context(prec=400))
    return f"{rounded:f}"


def _scientific(value, digits):
    rounded = Context(prec=digits + 1, rounding=ROUND_HALF_UP).create_decimal(Decimal(value))
    # (Decimal writes zero with an exponent of its own)
    mantissa, exponent = f"{rounded if value else 0.0:.{digits}e}".split("e")
    return mantissa, int(exponent)


def _trim(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def check_spec(spec: object) -> tuple[int | None, str]:
    """Digits and kind of a format; raises ValueError for what the page cannot write."""
    match = _SPEC.fullmatch(spec) if isinstance(spec, str) else None
    if not match or int(match[1] or 0) > 20:
        raise ValueError(
            f"format must look like '.2f', '.1e', '.3g', '.0%', 'd' or '' (at most 20 digits), found {spec!r}"
        )
    return (int(match[1]) if match[1] else None), match[2]


def fields(template: str) -> list[tuple[str, int | None, str]]:
    """The ``{name[index]:format}`` fields of a sentence, as (name, index or None, format)."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"summary: {error}, found {template!r}") from None
    found = []
    for _, field, spec, conversion in parts:
        if field is None:
            continue
        match = re.fullmatch(r"([A-Za-z_]\w*)(?:\[(\d+)\])?", field)
        if not match or conversion:
            raise ValueError(f"summary: a field must be {{name}} or {{name[0]}}, found {{{field}}}")
        check_spec(spec)
        found.append((match[1], None if match[2] is None else int(match[2]), spec))
    return found


def label_html(text: str) -> str:
    """`text` with its ``$…$`` parts as small HTML: italic letters, sub- and superscripts."""
    return _split(text, html.escape, lambda tex: f'<span class="im-math">{_tex(tex)}</span>')


def label_text(text: str) -> str:
    """`text` with its ``$…$`` parts as plain characters, for screen readers and SVG ticks."""
    return _split(text, str, lambda tex: html.unescape(re.sub(r"<[^>]*>", "", _tex(tex))))


def _split(text, plain, math) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a label must be a string, found {type(text).__name__}")
    parts = re.split(r"(?<!\\)\$", text)
    if len(parts) % 2 == 0:
        raise ValueError(f"label {text!r}: the dollar signs do not pair up")
    return "".join((math(part) if k % 2 else plain(part.replace(r"\$", "$"))) for k, part in enumerate(parts))


def _tex(source: str) -> str:
    """A small part of TeX as HTML; raises ValueError naming what it does not know."""
    tokens = [m for m in _TEX.finditer(source)]
    out, at = _group(source, tokens, 0, upright=False)
    if at != len(tokens):
        raise ValueError(f"label ${source}$: a closing brace too many")
    return out


def _group(source, tokens, at, upright):
    out = []
    while at < len(tokens) and tokens[at][0] != "}":
        piece, at = _atom(source, tokens, at, upright)
        out.append(piece)
    return "".join(out), at


def _atom(source, tokens, at, upright):
    if at >= len(tokens):
        raise ValueError(f"label ${source}$: something is missing at the end")
    command, mark, letter, space, other = tokens[at].groups()
    if mark == "{":
        out, at = _group(source, tokens, at + 1, upright)
        if at >= len(tokens):
            raise ValueError(f"label ${source}$: a closing brace is missing")
        return out, at + 1
    if mark in ("_", "^"):
        out, at = _atom(source, tokens, at + 1, upright)
        tag = "sub" if mark == "_" else "sup"
        return f"<{tag}>{out}</{tag}>", at
    if letter:
        return (letter if upright else f"<i>{letter}</i>"), at + 1
    if space:
        return (" " if upright else ""), at + 1
    if other:
        return ("′" if other == "'" else html.escape(other.replace("-", "−"))), at + 1
    if command in ("mathrm", "text", "operatorname", "mathbf"):
        out, at = _atom(source, tokens, at + 1, True)
        return (f"<b>{out}</b>" if command == "mathbf" else out), at
    if command in ("hat", "bar", "tilde"):
        out, at = _atom(source, tokens, at + 1, upright)
        accent = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}[command]
        return re.sub(r"(\w)(?=</|$)", rf"\1{accent}", out, count=1), at
    if command in _SYMBOLS:
        return f"<i>{_SYMBOLS[command]}</i>", at + 1
    if command in _UPRIGHT:
        return html.escape(_UPRIGHT[command]), at + 1
    raise ValueError(
        f"label ${source}$: \\{command} is not one of the commands labels know "
        "(Greek letters, ^ _ { }, \\mathrm, \\hat, simple operators)"
    )
