"""Under nbval, what a cell prints is compared number by number.

The last digit that a cell prints may hang on the last bit of its value, and that bit on the CPU, on how many
threads there are, or on a library's version. So the text around the numbers must be the same and whole numbers
must be equal, but decimals may differ by one unit in the last printed place, or by one part in a million where
more places are printed than that. What a cell gives the text by `implicitly.glue` is rounded for readers, a whole
number too: it may differ by one unit in its last place.
"""

import re
from decimal import Decimal

RELATIVE = Decimal("1e-6")
# A number with the spaces that pad it; no digits inside words, colours or versions (x1, #2a4b6c, 2.13.0).
NUMBER = re.compile(r"""(\ *
    (?<![\w.\#]) [-+−]? (?: \d+(?:\.\d*)? | \.\d+ ) (?: [eE][-+]?\d+(?!\w) )?
\ *)""", re.VERBOSE)  # fmt: skip


def same_number(one: str, other: str) -> bool:
    """Whether two printed numbers may be one value, printed on two machines."""
    one, other = (text.strip().replace("−", "-") for text in (one, other))
    if not re.search("[.eE]", one + other):
        return int(one) == int(other)
    a, b = Decimal(one), Decimal(other)
    place = min(a.as_tuple().exponent, b.as_tuple().exponent)
    return abs(a - b) <= max(Decimal(1).scaleb(place), RELATIVE * max(abs(a), abs(b)))


def same_text(one: str, other: str) -> bool:
    """Whether two outputs are the same text around numbers that may be the same."""
    one, other = NUMBER.split(one), NUMBER.split(other)
    return one[::2] == other[::2] and all(map(same_number, one[1::2], other[1::2]))


RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-", "'%\N{THIN SPACE}")


def glued(output: dict) -> dict:
    """An output of nbval's, where it holds a glued number with its name, and the number as a decimal."""
    name = output.get("metadata", {}).get("scrapbook", {}).get("name")
    if name is None:
        return output
    ((mime, text),) = output["data"].items()
    number = text.translate(RAISED)
    number = number.replace(" × 10", "e") if "×" in number else number + "e0"
    return type(output)({**output, "data": {mime: f"{name} is {number}"}})


class Printed(str):
    """An output as nbval holds it, equal to another that may be its print on another machine."""

    __slots__ = ()
    __hash__ = None

    def __eq__(self, other):
        return same_text(self, other)

    def __ne__(self, other):
        return not same_text(self, other)


def pytest_configure(config):
    if not config.pluginmanager.hasplugin("nbval"):
        return
    from nbval.plugin import IPyNbCell

    sanitize, compare = IPyNbCell.sanitize, IPyNbCell.compare_outputs

    def printed(cell, output):
        output = sanitize(cell, output)
        return Printed(output) if isinstance(output, str) else output

    def compared(cell, test, ref, skip_compare=None):
        return compare(cell, [*map(glued, test)], [*map(glued, ref)], skip_compare)

    IPyNbCell.sanitize, IPyNbCell.compare_outputs = printed, compared
