"""Second opinions on what claims rest on, and their record: `agreements.json`, which the claims page shows.

A comparison calls `agrees` (or `differs`, where a peer answers otherwise for a reason that can be told). It asserts,
and with ``--record`` what was measured goes into the file; entries of tests that did not run stay as they are.
`tests/test_agreements.py` holds the file without the peers, and reads the calls in these modules: claim, peer, what and
reason are written there as plain strings.
"""

import json
import math
from importlib.metadata import version
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("agreements.json")
FOUND = pytest.StashKey[dict]()
UNSURE = pytest.StashKey[list]()  # what was skipped or failed
RAN = pytest.StashKey[set]()


def pytest_addoption(parser):
    parser.addoption("--record", action="store_true", help="write tests/peers/agreements.json; nothing may be skipped")


def pytest_configure(config):
    config.stash[FOUND] = {}
    config.stash[UNSURE] = []
    config.stash[RAN] = set()


def test_of(nodeid):
    """test_ridge.py::test_name, without folder and parameters."""
    return nodeid.partition("[")[0].rpartition("/")[2]


def record(request, claim, peer, what, measured, bound, side, reason):
    """Keep the value with the least room of all that one comparison measures; a comparison may have parameters."""
    measured, bound = float(measured), float(bound)
    assert math.isfinite(measured) and math.isfinite(bound)
    name = test_of(request.node.nodeid)
    installed = version(peer).partition("+")[0]  # of torch's builds, the version without the name of the build
    entry = {"claim": claim, "peer": peer, "version": installed, "what": what, "measured": measured, side: bound,
             "reason": reason, "test": name}  # fmt: skip
    found = request.config.stash[FOUND]
    old = found.setdefault((claim, peer, what), entry)
    assert old["test"] == name, f"{name} and {old['test']} make the same comparison"
    assert old[side] == bound, f"{what}: one bound for all parameters"
    worst = max if side == "at_most" else min
    old["measured"] = worst(old["measured"], measured)


@pytest.fixture
def agrees(request):
    """A function that holds a difference from a peer to a bound, and records it."""

    def hold(*, claim, peer, what, measured, at_most):
        record(request, claim, peer, what, measured, at_most, "at_most", None)
        assert float(measured) <= at_most, f"{what}: {float(measured):.2g} from {peer}, at most {at_most:.2g}"

    return hold


@pytest.fixture
def differs(request):
    """The same for a disagreement with a reason: the difference is there, and is as large as the reason makes it."""

    def hold(*, claim, peer, what, measured, at_least, reason):
        record(request, claim, peer, what, measured, at_least, "at_least", reason)
        assert float(measured) >= at_least, f"{what}: only {float(measured):.2g} from {peer}, at least {at_least:.2g}"

    return hold


def pytest_runtest_logreport(report):
    CONFIG.stash[RAN].add(test_of(report.nodeid))
    if report.outcome != "passed":
        CONFIG.stash[UNSURE].append(report.nodeid)


def pytest_sessionstart(session):
    global CONFIG  # a report does not know its session
    CONFIG = session.config


def in_order(entries):
    return sorted(entries, key=lambda entry: (entry["claim"], entry["peer"], entry["what"]))


def rounded(value):
    """Two digits: the rest is another on another CPU."""
    return float(f"{value:.1e}")


def pytest_terminal_summary(terminalreporter, config):
    found = in_order(config.stash[FOUND].values())
    if not found:
        return
    terminalreporter.section("second opinions")
    for entry in found:
        says, to = ("agrees with", "to") if entry["reason"] is None else ("differs from", "by")
        peer = f"{entry['peer']} {entry['version']}"
        line = f"{entry['claim']} {says} {peer} {to} {entry['measured']:.2g}: {entry['what']}"
        terminalreporter.line(line + (f" ({entry['reason']})" if entry["reason"] else ""))
    if not config.getoption("--record"):
        return
    if unsure := config.stash[UNSURE]:
        terminalreporter.line(f"nothing was recorded: skipped or failed were {', '.join(unsure)}")
        return
    sides = ("measured", "at_most", "at_least")
    entries = [{key: rounded(value) if key in sides else value for key, value in entry.items()} for entry in found]
    old = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else []
    entries = in_order([*entries, *(entry for entry in old if entry["test"] not in config.stash[RAN])])
    FILE.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    terminalreporter.line(f"recorded {len(found)} comparisons in {FILE.name}")
