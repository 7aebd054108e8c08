"""The record of second opinions belongs to the comparisons in tests/peers and to the claims of the book.

The peers need not be installed: the comparisons are read, not run.
"""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "tests/peers/agreements.json"
KEYS = {"claim", "peer", "version", "what", "measured", "reason", "test"}


@pytest.fixture(scope="module")
def entries():
    return json.loads(FILE.read_text(encoding="utf-8"))


def calls_in(source, name):
    """(claim, peer, what, reason, test) of each call of `agrees` and `differs`, from the text of a module."""
    for function in ast.parse(source).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("agrees", "differs"):
                given = {word.arg: word.value for word in node.keywords}
                words = [ast.literal_eval(given[key]) for key in ("claim", "peer", "what")]
                reason = ast.literal_eval(given["reason"]) if node.func.id == "differs" else None
                yield (*words, reason, f"{name}::{function.name}")


def comparisons():
    return [call for path in sorted((ROOT / "tests/peers").glob("test_*.py")) for call in
            calls_in(path.read_text(encoding="utf-8"), path.name)]  # fmt: skip


def claims():
    return {
        found["id"]
        for path in (ROOT / "chapters").glob("*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", ())
        if (found := output.get("metadata", {}).get("implicitly", {}).get("claim"))
    }


def wrong(entry):
    """What is wrong with one entry: a key, or a number beyond its bound."""
    side = "at_least" if entry.get("reason") else "at_most"
    if set(entry) != KEYS | {side}:
        return f"keys {sorted(entry)}"
    # both numbers are rounded to two digits, which keeps their order
    holds = entry["measured"] >= entry[side] if entry["reason"] else 0 <= entry["measured"] <= entry[side]
    return None if holds else f"{entry['measured']} is beyond {entry[side]}"


def test_every_entry_has_its_comparison_and_every_comparison_its_entry(entries):
    recorded = [(e["claim"], e["peer"], e["what"], e["reason"], e["test"]) for e in entries]
    assert sorted(recorded, key=str) == sorted(comparisons(), key=str), "make test-peers RECORD=1 writes the file"
    assert entries == sorted(entries, key=lambda e: (e["claim"], e["peer"], e["what"]))


def test_every_claim_is_in_the_book(entries):
    assert {entry["claim"] for entry in entries} <= claims()


def test_numbers_are_within_their_bounds(entries):
    assert not [(entry["what"], found) for entry in entries if (found := wrong(entry))]


def test_there_are_enough_of_them(entries):
    agreeing = [entry for entry in entries if entry["reason"] is None]
    assert len(agreeing) >= 12
    assert len({entry["claim"].split("/")[0] for entry in agreeing}) >= 10


def test_the_tests_above_see_faults(entries):
    first = next(entry for entry in entries if entry["reason"] is None and entry["at_most"] > 0)
    other = next(entry for entry in entries if entry["reason"])
    assert "beyond" in wrong(first | {"measured": 2 * first["at_most"]})
    assert "beyond" in wrong(other | {"measured": other["at_least"] / 2})
    assert "keys" in wrong(first | {"date": "today"}) and "keys" in wrong(other | {"reason": None})
    source = 'def test_x(agrees):\n    agrees(claim="a/C1", peer="p", what="w", measured=0, at_most=0)\n'
    assert list(calls_in(source, "f.py")) == [("a/C1", "p", "w", None, "f.py::test_x")]


def test_the_extra_pins_every_peer_that_is_not_in_the_lock(entries):
    pins = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\npeers = [")[2].partition("\n]")[0].lower()
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").lower()
    for peer in {entry["peer"].lower() for entry in entries}:
        assert f'"{peer}==' in pins or f"\n{peer}==" in f"\n{lock}", peer


COMPARISON = """
import pytest
@pytest.mark.parametrize("x", [1.234e-9, 2e-9])
def test_one(x, agrees):
    agrees(claim="a/C1", peer="numpy", what="one", measured=x, at_most=1e-8)
def test_two(differs):
    differs(claim="a/C2", peer="numpy", what="two", measured=SIZE, at_least=0.1, reason="it rounds")
"""


def test_the_recorder(tmp_path):
    """Largest difference and smallest disagreement are written; nothing is, if a comparison fails."""
    shutil.copy(ROOT / "tests/peers/conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def record(size, *more):
        (tmp_path / "test_x.py").write_text(COMPARISON.replace("SIZE", size))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--record", *more]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    file = tmp_path / "agreements.json"
    assert "nothing was recorded: skipped or failed were test_x.py::test_two" in record("0.01") and not file.exists()
    assert "1 failed" in record("float('nan')") and not file.exists()
    said = record("0.25")
    assert "a/C1 agrees with numpy" in said and "(it rounds)" in said
    one, two = json.loads(file.read_text())
    assert (one["measured"], one["at_most"], one["test"]) == (2e-9, 1e-8, "test_x.py::test_one")
    assert (two["measured"], two["at_least"], two["reason"]) == (0.25, 0.1, "it rounds")
    record("0.5", "-k", "two")
    assert [entry["measured"] for entry in json.loads(file.read_text())] == [2e-9, 0.5]
