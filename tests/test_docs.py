"""What README, CONTRIBUTING and "How to read and run" tell a reader to type works, and what they name is there."""

import re
import subprocess
import sys
import textwrap
import tomllib

import pytest

import implicitly
import paths
import readme_chapters

DOCS = ("README.md", "CONTRIBUTING.md", "book/how-to-read.md")
TEXTS = {name: (paths.ROOT / name).read_text(encoding="utf-8") for name in DOCS}
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PYTHON = [
    pytest.param(textwrap.dedent(code), id=f"{name} {number}")
    for name, text in TEXTS.items()
    for number, (_, language, code) in enumerate(FENCE.findall(text), 1)
    if language == "python"
]


def commands(text: str) -> list[str]:
    """What stands in shell blocks, a line each, and between single backticks."""
    shell = [code for _, language, code in FENCE.findall(text) if language in ("sh", "bash")]
    parts = "".join(shell).splitlines() + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return [part.split("  #")[0].strip() for part in parts if part]


def test_the_blocks_are_found():
    assert len(PYTHON) == 2 and all(len(commands(text)) > 5 for text in TEXTS.values())


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs_as_a_script(code, tmp_path):
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and "Traceback" not in done.stderr
    if "sweep(average" in code:
        assert len((tmp_path / "table.jsonl").read_text().splitlines()) == 40
        spread = eval(done.stdout.splitlines()[-1])
        assert 0.05 < spread[100] < 0.2 and 0.005 < spread[10_000] < 0.02  # 1 / sqrt(n)


@pytest.mark.parametrize("name", DOCS)
def test_make_targets_are_there(name):
    targets = set(re.findall(r"^([a-z-]+):", (paths.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {match for text in commands(TEXTS[name]) for match in re.findall(r"^make ([a-z-]+)", text)}
    assert named and named <= targets


@pytest.mark.parametrize("name", DOCS)
def test_files_and_folders_are_there(name):
    """A word in backticks, or of a command, that looks like a path: it has a folder or a known ending."""
    words = {word.strip(",:") for text in commands(TEXTS[name]) for word in text.split()}
    words |= set(re.findall(r"\]\(([^)#]+)\)", TEXTS[name]))
    given = {"score-flow/C3", "random-orderings/C6", "_build/html", "_build/html/index.html", "_build/offline",
             "_build/mutants/report.md", "notebooks/", ".md", "slug.md"}  # fmt: skip
    endings = (".md", ".py", ".yml", ".lock", ".toml", ".cff", ".bib", ".png", ".js")
    looks = [w for w in words if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", w) and ("/" in w or w.endswith(endings))]
    looks = [w for w in looks if not w.startswith(".venv/") and not re.search("my[-_]", w) and w not in given]
    base = (paths.ROOT / name).parent
    assert [word for word in looks if not (paths.ROOT / word).exists() and not (base / word).exists()] == []


def test_extras_are_there():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {extra for text in TEXTS.values() for extra in re.findall(r'"?\.\[(\w+)\]"', text)}
    assert named and named <= set(project["optional-dependencies"])


def test_names_of_the_library_are_there():
    named = {name for text in TEXTS.values() for name in re.findall(r"\bimplicitly\.([A-Za-z_]\w*)", text)}
    assert {"sweep", "claim", "Explorer"} <= named
    assert [name for name in named if not hasattr(implicitly, name)] == []
    assert callable(implicitly.sweep) and callable(implicitly.claim) and callable(implicitly.Explorer)


def test_a_reader_is_told_where_the_library_is():
    for name in ("README.md", "book/how-to-read.md"):
        for told in (".venv/bin/python", "source .venv/bin/activate", "pip install ."):
            assert told in TEXTS[name], f"{name} does not say {told!r}"


def test_the_readme_lists_the_chapters_of_today():
    assert readme_chapters.written(TEXTS["README.md"]) == TEXTS["README.md"], "run book/_tools/readme_chapters.py"


def test_another_list_is_replaced_and_a_readme_without_its_place_is_an_error():
    old = f"a\n{readme_chapters.BEGIN}| 1 | Old |\n{readme_chapters.END}\nb\n"
    new = readme_chapters.written(old)
    assert new.startswith("a\n") and new.endswith("\nb\n") and "Old" not in new and "| 1 | [" in new
    assert readme_chapters.written(new) == new
    with pytest.raises(ValueError, match="must have one line"):
        readme_chapters.written("a\nb\n")


def test_the_landing_names_the_parts_that_there_are():
    """Its words say which parts ask which question; the list below them is made from the plan."""
    text = (paths.ROOT / "book/index.md").read_text(encoding="utf-8")
    ranges = re.findall(r"Parts? ([IVX]+)(?: (?:to|and) ([IVX]+))?", text)
    numerals = [part.numeral for part in readme_chapters.Book(paths.ROOT).parts]
    named = [one for first, last in ranges
             for one in numerals[numerals.index(first) : numerals.index(last or first) + 1]]  # fmt: skip
    assert named == numerals
    assert not re.search(r"\b(\w+teen|\w+ty|\d\d) chapters", text + TEXTS["README.md"]), "a number to keep up"
