"""Numbers of a run that the text of a chapter quotes, so that nobody types them.

A cell says ``glue("error-large-step", value, ".2f")``, and the text ``{glue:text}`error-large-step` ``. The cell shows
nothing; its output holds the number, ready to print, in the form that myst-nb's ``{glue:text}`` reads. (myst-nb's own
``glue`` would do the same, with all of myst-nb in the reader's environment.)
"""

import re
from typing import SupportsFloat

from ._validate import number
from .claims import number_html

__all__ = ["glue"]

#: What papermill and myst-nb put before the MIME type of an output that is kept and not shown.
PREFIX = "application/papermill.record/"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_SPEC = re.compile(r"\+?(?:d|(?:\.\d+)?[efg%])")
_RAISED = str.maketrans("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def glue(name: str, value: SupportsFloat, spec: str | None = None) -> None:
    """Give a number of the run the name under which the chapter's text quotes it.

    Nothing is shown. Outside of Jupyter nothing happens, after the same checks.

    Args:
        name: lower-case words joined by hyphens, a literal, once in a chapter.
        value: what is quoted; a finite real scalar (a 0-d tensor will do).
        spec: how it is written, one of Python's formats: ``".2f"``, ``".1e"``, ``".0%"``, ``"d"`` for a whole number,
            with a ``+`` before it where the sign is to show. By default three significant digits.

    Raises:
        ValueError, TypeError: an argument is not what is described above.

    Example:
        >>> glue("error-large-step", 0.0312, ".2f")
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"name must be lower-case words joined by hyphens, found {name!r}")
    if spec is not None and not (isinstance(spec, str) and _SPEC.fullmatch(spec)):
        raise ValueError(f"spec must be a format like '.2f', '.1e', '.0%' or 'd', found {spec!r}")
    value = number("value", value)
    if spec is not None and spec.endswith("d") and not value.is_integer():
        raise ValueError(f"value must be a whole number with spec {spec!r}, found {value:g}")
    _record(name, value, spec or "")


def _record(name: str, value: float, spec: str) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is None:
        return
    written = number_html(value, spec)
    text = re.sub("<sup>(.*?)</sup>", lambda power: power[1].translate(_RAISED), written)
    display(
        {f"{PREFIX}text/plain": f"'{text}'"},  # quoted, or myst-nb would make 4.5 of 4.50
        metadata={"scrapbook": {"name": name, "mime_prefix": PREFIX}},
        raw=True,
    )
