"""What every test runs under: one thread a process, the same property-test examples each time, and with whom.

And the template as a chapter, which `test_chapters*.py` share.
"""

import json
import os

# Two workers with two threads each get in each other's way: a small training loop runs ten times slower.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from workers import group_of, in_shard, shard  # noqa: E402

# `--hypothesis-profile=default` tries new examples; the weekly workflow does.
settings.register_profile("same-each-time", derandomize=True, deadline=None)
settings.load_profile("same-each-time")


def pytest_addoption(parser):
    parser.addoption("--shard", metavar="I/N", type=shard, help="run the I-th of N parts; all parts are every test")


@pytest.hookimpl(trylast=True)  # after those that sort
def pytest_collection_modifyitems(config, items):
    if not config.getoption("shard"):
        return
    kept = in_shard([item.nodeid for item in items], *config.getoption("shard"))
    config.hook.pytest_deselected(items=[item for item, mine in zip(items, kept, strict=True) if not mine])
    items[:] = [item for item, mine in zip(items, kept, strict=True) if mine]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """What shares its work runs in one worker. Of the marks that would say so, pytest 9.2 shows xdist 3.8 nothing."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The template, started and executed in a folder of its own: (slug, the folder)."""
    from template_chapter import executed

    root = tmp_path_factory.mktemp("repository")
    return executed(root), root


@pytest.fixture
def notebook(built):
    """The executed template as a dict, to be changed."""
    slug, root = built
    return json.loads((root / f"chapters/{slug}.ipynb").read_text(encoding="utf-8"))
