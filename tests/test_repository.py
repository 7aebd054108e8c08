"""The repository as a whole: what is committed, who imports whom, what the documents say."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import implicitly

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 2_000_000


def committed() -> list[Path]:
    """Every file that git holds or would hold, so that a fault shows before it is committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.fail(f"these tests read the list of files from git, and it did not answer: {error}")
    return [ROOT / name for name in sorted(listed.split("\0")) if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """The file's text, or None for a binary one."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


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


def test_nothing_that_is_built_is_committed():
    built = re.compile(r"(^|/)(_build|node_modules|__pycache__|\.venv|\.ipynb_checkpoints)/|\.pyc$")
    tracked = [str(p.relative_to(ROOT)) for p in committed()]
    assert not [name for name in tracked if built.search(name)]


# Who imports whom: chapters -> lib -> kernels -----------------------------------------------------


def imported(source: str) -> set[str]:
    """First names of all modules that ``source`` imports, those by ``import_module`` included."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__", "find_spec"} and isinstance(node.args[0].value, str):
                names.add(node.args[0].value)
    return {name.split(".")[0] for name in names}


def sources(folder: str) -> list[Path]:
    return [p for p in committed() if p.suffix == ".py" and p.is_relative_to(ROOT / folder)]


@pytest.mark.parametrize(
    ("folder", "never"),
    [
        # The book is built in an environment that has neither the library nor torch.
        (
            "book/_ext",
            {"implicitly", "implicitly_kernels", "torch", "numpy", "matplotlib", "jupyter_book"},
        ),
        ("kernels/implicitly_kernels", {"implicitly"}),
        ("lib/implicitly", {"chapters", "book"}),
    ],
)
def test_imports_run_one_way(folder, never):
    wrong = {str(p.relative_to(ROOT)): imported(p.read_text()) & never for p in sources(folder)}
    assert sources(folder), f"no Python file under {folder}"
    assert not {name: bad for name, bad in wrong.items() if bad}


def test_imports_are_seen_in_every_form():
    assert imported("import torch.nn as nn") == {"torch"}
    assert imported("def f():\n    from implicitly.claims import claim") == {"implicitly"}
    assert imported("importlib.import_module('implicitly_kernels.x')") == {"implicitly_kernels"}
    assert imported("from . import sibling") == set()


def chapters() -> list[Path]:
    return [p for p in committed() if p.parent == ROOT / "chapters" and p.suffix == ".md"]


@pytest.mark.parametrize("chapter", chapters(), ids=lambda p: p.stem)
def test_a_chapter_imports_no_other_chapter_and_no_tool_of_ours(chapter):
    import jupytext

    cells = jupytext.read(chapter).cells
    # A leading % or ! is IPython's; no chapter's imports stand behind one.
    code = "\n".join(
        line
        for cell in cells
        if cell.cell_type == "code"
        for line in [*cell.source.splitlines(), ""]
        if not line.lstrip().startswith(("%", "!"))
    )
    others = {p.stem.replace("-", "_") for p in chapters()} | {"book", "tests", "chapters"}
    assert not imported(code) & others


def test_importing_the_library_is_light():
    code = (
        "import sys, implicitly;"
        "heavy = {'torch', 'numpy', 'matplotlib', 'anywidget', 'cvxpy', 'numba'};"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"`import implicitly` also imported: {done.stderr.strip()}"


def test_every_public_module_is_an_attribute_of_the_package():
    folder = ROOT / "lib/implicitly"
    names = {path.stem for path in folder.glob("[!_]*.py")}
    names |= {path.parent.name for path in folder.glob("*/__init__.py")}
    code = "import sys, implicitly; [getattr(implicitly, name) for name in sys.argv[1:]]"
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert names <= set(dir(implicitly))


# What is installed --------------------------------------------------------------------------------


def entries(lines: str) -> list[str]:
    """The requirements in a list that pip reads, without hashes, comments and options."""
    stripped = (re.split(r"(?:^|\s)#|\s--hash", line.strip())[0].strip() for line in lines.splitlines())
    return [line for line in stripped if line and not line.startswith("-")]


def lock(name: str = "requirements.lock") -> list[Requirement]:
    return [Requirement(line) for line in entries((ROOT / name).read_text().replace("\\\n", " "))]


def applying(requirements: list[Requirement]) -> dict[str, Requirement]:
    """Package to pin, for the pins that apply on this machine."""
    here = [r for r in requirements if r.marker is None or r.marker.evaluate()]
    names = [canonicalize_name(r.name) for r in here]
    assert len(names) == len(set(names)), "a package is pinned twice"
    return dict(zip(names, here, strict=True))


def accepts(need: Requirement, pin: Requirement | None) -> bool:
    return pin is not None and need.specifier.contains(str(pin.specifier).removeprefix("=="), prereleases=True)


def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def pip_part() -> list[str]:
    parts = [entry["pip"] for entry in environment()["dependencies"] if isinstance(entry, dict)]
    assert len(parts) == 1, f"environment.yml should have one pip part, it has {len(parts)}"
    return parts[0]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-book.lock"])
def test_every_pin_is_exact_and_hashed(name):
    text = (ROOT / name).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        for entry in entries(line):
            pin = Requirement(entry)
            assert [s.operator for s in pin.specifier] == ["=="] and not pin.url, f"not pinned: {entry}"
            assert "+" not in str(pin.specifier), f"names one build: {entry}"
            # torch's CPU and CUDA builds share a version and differ in their hashes.
            assert ("--hash=sha256:" in line) != (pin.name == "torch"), f"hashes: {entry}"


def test_the_book_is_built_with_versions_of_the_one_lock():
    book, everything = lock("requirements-book.lock"), lock()
    # Markers may differ: what only the tests pull in can widen where a package is wanted.
    assert {f"{r.name}{r.specifier}" for r in book} < {f"{r.name}{r.specifier}" for r in everything}
    assert not {"torch", "numpy", "matplotlib", "implicitly"} & {r.name for r in book}


def test_conda_installs_what_the_lock_holds():
    assert {str(Requirement(e)) for e in pip_part()} == {str(r) for r in lock()}
    # conda itself brings no more than the interpreter and pip: one list of versions, not two.
    conda = {re.split(r"[=<>! ]", e)[0] for e in environment()["dependencies"] if isinstance(e, str)}
    assert conda == {"python", "pip"}


def test_the_pip_part_is_installable(tmp_path):
    """pip takes the list as conda would hand it over, and every pin is what is installed here.

    pip looks only at what is installed, so the check costs no download; that the pins can be
    fetched, with their hashes, was shown when this environment was made from them.
    """
    handed = tmp_path / "conda.requirements.txt"
    handed.write_text("\n".join(pip_part()) + "\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "--isolated",
        "install",
        "--dry-run",
        "--no-deps",
        "--no-index",
    ]
    done = subprocess.run([*command, "-r", str(handed)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Would install" not in done.stdout, done.stdout[-3000:]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-book.lock"])
def test_the_lock_is_closed(name):
    """Whatever a pinned package needs is pinned too, at a version that it accepts; but for torch's CUDA packages."""
    pinned = applying(lock(name))
    left_out = set(project()["tool"]["uv"]["exclude-dependencies"])
    missing = []
    for package, pin in pinned.items():
        for need in map(Requirement, distribution(package).requires or []):
            if package == "torch" and need.name in left_out:
                continue
            if need.marker and not any(need.marker.evaluate({"extra": e}) for e in pin.extras or {""}):
                continue
            got = pinned.get(canonicalize_name(need.name))
            if not accepts(need, got):
                missing.append(f"{package} needs {need}, the lock has {got}")
    assert not missing, "\n".join(missing)


def test_no_cuda_package_is_in_the_lock():
    """A reader without a GPU would get gigabytes; a new one belongs into pyproject's exclude-dependencies."""
    assert not [r.name for r in lock() if r.name.startswith(("nvidia", "cuda"))]


def contradiction(requirements: list[str], folder: Path) -> str:
    """What is wrong with a list of requirements on any platform, from what the packages themselves say they need.

    Empty where nothing is.  Fails where no package index answers, so that it is never green without a look; who works
    offline says so to uv, whose variable this is.
    """
    if os.environ.get("UV_OFFLINE", "0").lower() not in ("", "0", "false", "no", "off"):
        pytest.skip("UV_OFFLINE is set: no package index is asked")
    asked = folder / "asked.txt"
    asked.write_text("\n".join(requirements) + "\n")
    command = [sys.executable, "-m", "uv", "pip", "compile", "--no-config", "--universal", "--python-version=3.11"]
    try:
        done = subprocess.run([*command, asked], cwd=folder, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        pytest.fail("the package index did not answer in three minutes; offline, set UV_OFFLINE=1")
    if done.returncode and "No solution found" not in done.stderr:
        pytest.fail(f"the package index could not be read (offline, set UV_OFFLINE=1): {done.stderr.strip()[-300:]}")
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml"])
def test_pip_can_install_the_lock_with_what_torch_needs(name, tmp_path):
    """No pin contradicts another package's needs, those of torch's CUDA build included, which is not installed here."""
    found = contradiction(pip_part() if name == "environment.yml" else [str(r) for r in lock()], tmp_path)
    assert not found, found


def test_a_pin_that_torch_refuses_is_seen(tmp_path):
    assert "triton" in contradiction(["torch==2.13.0", "triton==3.9.0 ; sys_platform == 'linux'"], tmp_path)


def test_each_python_that_is_declared_is_tried_every_week():
    declared = project()["project"]
    versions = [name.rsplit(" ", 1)[1] for name in declared["classifiers"] if ":: Python :: 3." in name]
    jobs = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text())["jobs"]
    assert sorted(versions) == sorted(jobs["pythons"]["strategy"]["matrix"]["python"])
    first, last = (tuple(map(int, v.split("."))) for v in (versions[0], versions[-1]))
    assert declared["requires-python"] == f">=3.{first[1]},<3.{last[1] + 1}"
    assert f"{first} <= v <= {last}" in (ROOT / "Makefile").read_text()


def test_the_lock_covers_the_project():
    declared = project()["project"]
    pinned = applying(lock())
    # The peers of the benchmarks are run by who measures; second opinions and mutants, which come with a make of their
    # own, are no part of `make test`.
    apart = ("bench", "peers", "mutants")
    extras = [asked for extra, asked in declared["optional-dependencies"].items() if extra not in apart]
    asked = declared["dependencies"] + [*chain(*extras)]
    needs = [Requirement(line) for line in asked]
    wrong = [
        f"pyproject asks for {need}, the lock has {pinned.get(canonicalize_name(need.name))}"
        for need in needs
        if need.name != declared["name"]
        and (need.marker is None or need.marker.evaluate())
        and not accepts(need, pinned.get(canonicalize_name(need.name)))
    ]
    assert not wrong, "\n".join(wrong)


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
