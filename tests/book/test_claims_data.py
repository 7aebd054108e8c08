"""`claims.json`: its schema, what the page says of it, and the notebooks are held together."""

import copy
import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

import claims_data
from book_model import Book, BookError
from claims_model import STATUS
from plain_notebooks import References

ROOT = Path(__file__).parents[2]
BOOK = Book(ROOT)
SCHEMA = json.loads((ROOT / claims_data.SCHEMA).read_text())
#: The names of version 1, for good. One that goes, or comes to mean something else, asks for a schema of version 2.
VERSION_1 = {
    "file": ["$schema", "version", "book", "claims"],
    "claim": ["id", "chapter", "kind", "title", "statement", "status", "uses", "address", "commit", "checks"],
    "check": ["name", "statement", "tex", "relation", "measured", "stated", "tolerance", "used", "over", "seeds",
              "address"],
}  # fmt: skip


def objects() -> dict[str, dict]:
    return {"file": SCHEMA} | {name: kind for name, kind in SCHEMA["$defs"].items() if "properties" in kind}


@pytest.fixture(scope="module")
def data() -> dict:
    references = References("https://example.org/", BOOK.papers)
    for chapter in BOOK.chapters:
        references.add(chapter, str(BOOK.planned[chapter.slug].number) if chapter.slug in BOOK.planned else "")
    return claims_data.data(BOOK, references)


def valid(made: dict) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(made)


def test_the_schema_is_a_schema_and_its_names_are_those_of_version_1():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].endswith(f"/_static/claims-v{claims_data.VERSION}.schema.json")
    assert SCHEMA["properties"]["version"]["const"] == claims_data.VERSION == 1
    assert {name: list(kind["properties"]) for name, kind in objects().items()} == VERSION_1
    for kind in objects().values():
        assert kind["required"] == list(kind["properties"]) and kind["additionalProperties"] is False
        assert all(field["description"].endswith(".") for field in kind["properties"].values())
    assert SCHEMA["$defs"]["claim"]["properties"]["status"]["enum"] == list(STATUS)


def stored() -> list[dict]:
    """The checks in the notebooks, read without the book's model."""
    found = []
    for chapter in BOOK.listed:
        notebook = json.loads((ROOT / f"{chapter.docname}.ipynb").read_text())
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        marks = [output.get("metadata", {}).get("implicitly", {}) for output in outputs]
        found += [mark["claim"] for mark in marks if "claim" in mark]
    return found


def test_the_data_are_what_the_notebooks_store(data):
    assert valid(data) and data["claims"]
    by_anchor = {check["anchor"]: check for check in stored()}
    told = [(claim, check) for claim in data["claims"] for check in claim["checks"]]
    assert len(told) == len(by_anchor) == len(stored())
    for claim, check in told:
        there = by_anchor[check["address"].partition("#")[2]]
        assert (claim["id"], check["name"], check["statement"]) == (there["id"], there["check"], there["statement"])
        assert (check["tex"], check["relation"]) == (there["math"], there["relation"])
        assert (check["measured"], check["stated"], check["tolerance"]) == (
            there["measured"], there["stated"], there["within"])  # fmt: skip
        assert (check["over"], check["seeds"], check["used"]) == (there["over"], there["seeds"], there["used"])
        assert there["holds"]


def test_the_data_say_what_the_boxes_do(data):
    assert [claim["id"] for claim in data["claims"]] == list(BOOK.boxes)
    for claim in data["claims"]:
        box = BOOK.boxes[claim["id"]]
        assert (claim["status"], claim["title"], claim["uses"]) == (box.status, box.title, list(box.uses))
        assert claim["id"] == f"{claim['chapter']}/{box.short}"
        assert claim["address"] == f"https://example.org/chapters/{claim['chapter']}.html#{claim['id']}"
        assert ":::" not in claim["statement"] and "{prf:ref}" not in claim["statement"]
    (one,) = [claim for claim in data["claims"] if claim["id"] == "stable-minima/C3"]
    assert r"\mathrm{TV}_g(f)\;\le\;\frac1\eta-\frac12" in one["statement"] and one["kind"] == "theorem"


def changed(data: dict, path: tuple, value) -> dict:
    made = copy.deepcopy({**data, "claims": data["claims"][:3]})
    at = made
    for name in path[:-1]:
        at = at[name]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


FAULTS = {
    "another version": (("version",), 2),
    "a name too many": (("more",), 1),
    "no uses": (("claims", 0, "uses"), ...),
    "a use twice": (("claims", 0, "uses"), ["a/C1", "a/C1"]),
    "a use that is no id": (("claims", 0, "uses"), ["C1"]),
    "an unknown status": (("claims", 0, "status"), "proven"),
    "a short commit": (("claims", 0, "commit"), "abc1234"),
    "no check": (("claims", 0, "checks"), []),
    "a number as text": (("claims", 0, "checks", 0, "measured"), "0.5"),
    "more than the room": (("claims", 0, "checks", 0, "used"), 1.5),
    "a tolerance of a bound": (("claims", 0, "checks", 0, "tolerance"), 0.1),
    "no tolerance of an equality": (("claims", 0, "checks", 0, "relation"), "equals"),
    "seeds that are no numbers": (("claims", 0, "checks", 0, "seeds"), ["0"]),
    "no seed": (("claims", 0, "checks", 0, "seeds"), []),
}


@pytest.mark.parametrize("path, value", FAULTS.values(), ids=FAULTS)
def test_the_schema_refuses(data, path, value):
    assert data["claims"][0]["checks"][0]["relation"] == "at most"
    assert valid(changed(data, ("version",), 1)) and not valid(changed(data, path, value))


def test_what_does_not_fit_stops_the_build(data, monkeypatch):
    claim_data = claims_data.claim_data
    monkeypatch.setattr(claims_data, "claim_data", lambda *given: claim_data(*given) | {"title": ""})
    references = References("https://example.org/", BOOK.papers)
    for chapter in BOOK.chapters:
        references.add(chapter, "1")
    with pytest.raises(BookError, match=r"book/claims\.json: claims/0/title: ''"):
        claims_data.data(BOOK, references)


def test_a_claim_a_line(data):
    text = claims_data.written(data)
    assert json.loads(text) == data and list(json.loads(text)) == list(SCHEMA["properties"])
    assert sum(line.startswith('{"id": ') for line in text.splitlines()) == len(data["claims"])


def test_the_page_names_every_field():
    told = claims_data.fields_of(SCHEMA)
    assert [[name for name, _, _ in fields] for _, fields in told] == list(VERSION_1.values())
    types = {(title, name): kind for title, fields in told for name, kind, _ in fields}
    assert types["A claim", "uses"] == "list of ids" and types["The file", "claims"] == "list of claims"
    assert types["A check", "seeds"] == "list of whole numbers or null" and types["The file", "version"] == "always 1"
    assert "<code>partly-proved</code>" in types["A claim", "status"]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_commit_is_that_of_the_notebook_as_it_is(tmp_path):
    assert claims_data.commit_of(tmp_path, "a.ipynb") is None, "no repository"
    git(tmp_path, "init", "-q")
    for name in ("a.ipynb", "b.ipynb"):
        (tmp_path / name).write_text("{}")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-qm", name)
    first, second = git(tmp_path, "log", "--reverse", "--format=%H").split()
    assert (claims_data.commit_of(tmp_path, "a.ipynb"), claims_data.commit_of(tmp_path, "b.ipynb")) == (first, second)
    (tmp_path / "a.ipynb").write_text("{ }")
    assert claims_data.commit_of(tmp_path, "a.ipynb") is None, "its values are in no commit"
    assert claims_data.commit_of(tmp_path, "c.ipynb") is None, "git does not know it"
