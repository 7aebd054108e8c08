"""The repository as a whole: what is committed, what the documents say."""

import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from committed_files import ROOT, committed, project, text_of

MOST_BYTES = 2_000_000
MOST_LINES = 400


# What is committed --------------------------------------------------------------------------------

# Folders of one machine. The look-behind lets addresses and longer paths through (site.org/home/).
MACHINE_PATH = re.compile(r"(?<![\w.~\-/}>)$])/(?:work|root|home|Users|opt|tmp|farm|mnt)/[\w.\-]+")
# Where packages came from: index hosts, the form of an index's address, options that set one.
INDEX_HOST = re.compile(
    r"registry\.npm|registry\.yarn|files\.pythonhosted|artifactor[y]|sonatyp[e]|devp[i]|verdacci[o]"
    r"|https?://[\w.\-]+(?::\d+)?/(?:[\w\-]+/)*simple(?:/|\b)"
    # Readers without a GPU are told of PyTorch's own index.
    r"|--(?:index-url|extra-index-url|find-links|trusted-host)\b(?! https://download\.pytorch\.org/)"
    r"|\bfile:/{2,3}\w",
    re.MULTILINE,
)
PRIVATE_ADDRESS = re.compile(
    r"\b(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}\b|\b[\w\-]+\.(?:internal|corp|lan)\b"
)
SECRET = re.compile(r"\b(?:ghp|gho|github_pat|hf|sk|pypi)[_-][A-Za-z0-9_]{24,}|-----BEGIN [A-Z ]*PRIVATE KEY")
CLIMB = re.compile(r"(?<![\w./])(?:\.\./)+[\w.\-]+")


def leaks(path: Path, text: str) -> list[str]:
    """What in ``text``, the content of ``path``, belongs to a machine and not to the book."""
    found = []
    for name, pattern in [
        ("a machine's path", MACHINE_PATH),
        ("a package index", INDEX_HOST),
        ("a private address", PRIVATE_ADDRESS),
        ("a secret", SECRET),
    ]:
        for match in pattern.finditer(text):
            found.append(f"{path.relative_to(ROOT)}: {name}: {match.group().strip()!r}")
    for match in CLIMB.finditer(text):
        if not (path.parent / match.group()).resolve().is_relative_to(ROOT):
            found.append(f"{path.relative_to(ROOT)}: outside the repository: {match.group()!r}")
    return found


def test_nothing_committed_belongs_to_one_machine():
    found = []
    for path in committed():
        text = text_of(path)
        if text is not None:
            found += leaks(path, text)
    assert not found, "\n".join(found[:40])


@pytest.mark.parametrize(
    "text",
    [
        # Joined here, or this file would hold what it forbids.
        "see /" + "work/main/book",
        "'/" + "home/ada/.cache'",
        "resolved: https://registry." + "npmjs.org/d3/-/d3.tgz",
        "https://pypi.example.com/root/" + "simple/",
        "--" + "find-links wheels",
        "--" + "index-url https://pypi.example.com",
        "torch @ file:" + "///wheels/torch.whl",
        "http://10." + "0.0.7:8080/",
        "build." + "internal",
        "ghp_" + "a" * 36,
        "read .." + "/../elsewhere/sheet.md",
    ],
)
def test_the_patterns_see_what_they_are_for(text):
    assert leaks(ROOT / "book" / "page.md", text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/home/page",
        "http://localhost:8000/work/",
        "[the library](../lib/implicitly/claims.py)",
        "_build/tmp/page",
        "1.10.0.4 of the package",
        "--index-url https://download.pytorch.org/whl/cpu",
    ],
)
def test_the_patterns_let_ordinary_text_pass(text):
    assert not leaks(ROOT / "book" / "page.md", text)


def test_no_large_file():
    large = {str(p.relative_to(ROOT)): p.stat().st_size for p in committed()}
    large = {name: size for name, size in large.items() if size > MOST_BYTES}
    assert not large, f"files over {MOST_BYTES} bytes: {large}"


def test_no_module_is_long():
    modules = [p for p in committed() if p.suffix in {".py", ".js", ".mjs"} and "vendor" not in p.parts]
    lines = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in modules}
    assert len(lines) > 400 and "lib/explorer-js/src/mount.js" in lines, "the modules are found"
    long = {name: count for name, count in lines.items() if count > MOST_LINES}
    assert not long, f"split by subject what is over {MOST_LINES} lines: {long}"


def test_nothing_that_is_built_is_committed():
    built = re.compile(r"(^|/)(_build|node_modules|__pycache__|\.venv|\.ipynb_checkpoints)/|\.pyc$")
    tracked = [str(p.relative_to(ROOT)) for p in committed()]
    assert not [name for name in tracked if built.search(name)]


# What the documents say ---------------------------------------------------------------------------

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    ".github/workflows/ci.yml",
    ".github/workflows/weekly.yml",
]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_command_exists(name):
    text = (ROOT / name).read_text()
    code = re.findall(r"`([^`\n]+)`", text)
    code += re.findall(r"^\s*(?:- run: |run: )?(?!\|)(.*\bmake .*)$", text, re.MULTILINE)  # no row of a table
    named = {target for line in code for target in re.findall(r"(?:^|[\s;&])make ([a-z][\w-]*)", line)}
    assert named, f"{name} names no make command; this test no longer reads it"
    assert not named - make_targets(), f"{name} names what the Makefile does not have"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_file_named_exists(name):
    text = (ROOT / name).read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    paths = re.findall(r"`((?:[\w.\-]+/)+[\w.\-]*)`", text)
    # Names that stand for any chapter, or for what a command makes.
    stands_for = re.compile(r"(^|/)(_build|\.venv|notebooks|slug|my-|(test_)?my_)|<|/C\d+$")
    missing = [p for p in links + paths if not stands_for.search(p) and not (ROOT / p).exists()]
    assert not missing, f"{name} names files that do not exist: {missing}"


def workflows() -> list[Path]:
    return sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", workflows(), ids=lambda p: p.stem)
def test_workflows_are_whole(path):
    flow = yaml.safe_load(path.read_text())
    assert True in flow or "on" in flow, "no trigger"  # YAML 1.1 reads the word `on` as true
    assert flow["permissions"] == {"contents": "read"}, "the default token may only read"
    for name, job in flow["jobs"].items():
        assert job["runs-on"] and job["steps"], name
        assert set(job.get("needs", [])) <= set(flow["jobs"]), f"{name} needs a job that does not exist"
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), f"{name}: a step either runs or uses: {step}"
            if "uses" in step:
                assert re.fullmatch(r"[\w\-]+/[\w\-/]+@v?\d[\w.]*", step["uses"]), f"{name}: {step['uses']}"


def test_both_workflows_are_there():
    assert [p.stem for p in workflows()] == ["ci", "weekly"]


def test_issue_form_asks_for_what_we_need():
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/something-is-wrong.yml").read_text())
    assert {"page", "claim", "environment"} <= {field["id"] for field in form["body"]}
    done = subprocess.run([sys.executable, "-m", "implicitly"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 and "torch" in done.stdout


def test_versions_agree():
    version = project()["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.findall(r"^## \[(\d[^\]]*)\] - (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    cited = re.search(r"version\s*=\s*\{([^}]*)\}", (ROOT / "README.md").read_text())
    assert citation["version"] == version
    assert released and released[0] == (version, str(citation["date-released"]))
    assert cited and cited.group(1) == version
    assert distribution("implicitly").version == version, "install the project again: its metadata is old"


def test_one_address_for_the_repository():
    urls = set()
    for path in committed():
        text = text_of(path) or ""
        urls |= set(re.findall(r"github\.com/implicitly[\w.\-]*/[\w\-]+", text))
    assert urls == {"github.com/implicitly-book/implicitly"}
