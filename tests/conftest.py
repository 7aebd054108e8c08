"""What every test runs under: one thread a process, the same property-test examples each time, and with whom."""

import os
import re

# Two workers with two threads each get in each other's way: a small training loop runs ten times slower.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# `--hypothesis-profile=default` tries new examples; the weekly workflow does.
settings.register_profile("same-each-time", derandomize=True, deadline=None)
settings.load_profile("same-each-time")


@pytest.hookimpl(tryfirst=True)  # before the plugin that reads the groups
def pytest_collection_modifyitems(items):
    """What shares its work runs in one worker (`--dist loadgroup`): a file, or what runs the cells of one chapter."""
    for item in items:
        if item.path.parent.name != "browser":  # which has groups of its own
            item.add_marker(pytest.mark.xdist_group(chapter_of(item) or item.nodeid.split("::")[0]))


def chapter_of(item) -> str | None:
    if item.path.parent.name != "chapters":
        return None
    found = re.fullmatch(r"test_(\w+)_(claims|exercises)", item.path.stem)
    return found[1].replace("_", "-") if found else item.callspec.params["slug"]
