"""Second opinions on claims, as `tests/peers` recorded them. `Book.agreements` is the one that reads it."""

from dataclasses import dataclass
from pathlib import Path

from book_model import BookError, _json, _made


@dataclass(frozen=True)
class Agreement:
    """What a peer answers: how far it is from ours in what was compared, and a reason if that is a disagreement."""

    claim: str
    peer: str
    version: str
    what: str
    measured: float
    reason: str | None


def read_agreements(path: Path) -> dict[str, tuple[Agreement, ...]]:
    """The second opinions on each claim, in the order of the file; none where there is no file."""
    entries = _json(path) if path.is_file() else []
    if not isinstance(entries, list):
        raise BookError(f"{path} must be a list")
    found: dict[str, tuple[Agreement, ...]] = {}
    for i, entry in enumerate(entries):
        made = _made(Agreement, entry, f"{path}: entry {i}")
        found[made.claim] = (*found.get(made.claim, ()), made)
    return found
