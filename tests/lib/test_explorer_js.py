"""The script: its unit tests, its agreement with Python, and that the committed bundle is its build.

Node is needed only here. Without it, or without a way to install the build's packages, these tests are
skipped, and say so.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from explorer_table import lookup

from implicitly.explorer.text import format_value

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "lib/explorer-js"
BUILT = ROOT / "lib/implicitly/explorer"
sys.path.insert(0, str(SOURCE / "bench"))
samples = importlib.import_module("samples")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A copy of the sources with its packages installed from the lock file."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node and npm are not installed; the committed bundle is used as it is")
    folder = tmp_path_factory.mktemp("explorer-js")
    for name in ("package.json", "package-lock.json", ".npmrc", "build.mjs"):
        shutil.copy(SOURCE / name, folder)
    for name in ("src", "test"):
        shutil.copytree(SOURCE / name, folder / name)
    command = ["npm", "ci", "--prefer-offline", "--no-fund", "--no-audit"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT", done.stderr):
        pytest.skip("npm could not reach a registry to install the build's packages")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_committed_bundle_is_what_the_source_builds_to(node):
    out = node / "out" / "explorer.js"
    subprocess.run(["node", "build.mjs", out], cwd=node, check=True, timeout=120)
    for name in ("explorer.js", "explorer.LICENSE.txt"):
        assert (out.parent / name).read_bytes() == (BUILT / name).read_bytes(), (
            f"{name} is not what lib/explorer-js builds to: run `make explorer`"
        )


def test_unit_tests_and_agreement_with_python(node):
    rng = np.random.default_rng(0)
    values = [0.0, 0.5, 1.5, 2.5, 0.125, -0.125, 1e5, 99999.5, 0.00012345, 1e-4, 9.999e-5, -3.0]
    values += (rng.normal(size=40) * 10.0 ** rng.integers(-9, 9, 40)).tolist()
    specs = ["", "d", ".0f", ".2f", ".1e", ".0%", ".1%", ".2g", ".5g", "f", "e"]
    tables = []
    for name in ("clock", "curves", "heat", "bars"):
        explorer = samples.SAMPLES[name]()
        spec = json.loads(explorer.widget.spec)
        flat = {
            k: [[None if np.isnan(x) else float(x) for x in row] for row in v.reshape(len(v), -1)]
            for k, v in lookup(explorer).items()
        }
        tables.append({"spec": spec, "points": len(explorer.points), "columns": flat})
    formats = [[v, s, format_value(v, s)] for v in values for s in specs]
    fixtures = node / "fixtures.json"
    fixtures.write_text(json.dumps({"formats": formats, "tables": tables}), encoding="utf-8")
    done = subprocess.run(
        ["node", "--test", "test/"],
        cwd=node,
        env={**os.environ, "EXPLORER_FIXTURES": str(fixtures)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^# skipped 0$", done.stdout, re.MULTILINE), done.stdout[-400:]


def test_the_bundle_asks_for_nothing():
    script = (BUILT / "explorer.js").read_text(encoding="utf-8")
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|\bimport\b|\bexport\b|//# sourceMapping", script)
    assert re.search(r"^var Explorer=\(\(\)=>\{", script, re.MULTILINE)
    assert set(re.findall(r"https?://[\w./]+", script)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/XML/1998/namespace",
        "http://www.w3.org/2000/xmlns/",
    }  # names of XML languages, never fetched
    assert len(script) < 400_000


def test_the_lock_file_names_no_registry():
    assert "://" not in re.sub(r'"url": "[^"]*"', "", (SOURCE / "package-lock.json").read_text())
