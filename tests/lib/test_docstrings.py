"""The examples in the docstrings of the library and of the kernels run and print what they say."""

import doctest
import importlib.util
import pkgutil
from pathlib import Path

import matplotlib
import pytest

import implicitly
import implicitly_kernels

MODULES = [
    info.name
    for package in (implicitly, implicitly_kernels)
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not info.name.endswith("__main__")
]
WITH_EXAMPLES = [
    name for name in MODULES if ">>>" in Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    tests = doctest.DocTestFinder(exclude_empty=True).find(module)
    assert any(test.examples for test in tests), "no example was found: is one in a comment or in a private name?"
    report = []
    with matplotlib.rc_context():
        for test in tests:
            doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, "".join(report)
