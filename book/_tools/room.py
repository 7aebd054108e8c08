"""How much of its tolerance each passing check used: `pytest --room FILE -o enable_assertion_pass_hook=true`.

A line of FILE is a JSON list: the test, what it asserts, and the largest share used (1: at the tolerance). Seen are
asserts that compare a number with a number above 0 (`error < 1e-8`) or with `pytest.approx`, and claims of notebooks.
"""

import json
import re

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
VALUE = rf"(?:tensor\()?(?:np\.float\d+\()?({NUMBER})(?:, dtype=\S+?\))?\)?"
BELOW = re.compile(rf"{VALUE} <=? {VALUE}")
NEAR = re.compile(rf"{VALUE} == {VALUE} ± {VALUE}")


def used(explanation: str) -> float | None:
    """Share of the tolerance that a comparison used, from pytest's explanation of it; None where it has none."""
    first = explanation.removeprefix("assert ").split("\n")[0]
    if found := BELOW.fullmatch(first):
        error, room = map(float, found.groups())
    elif found := NEAR.fullmatch(first):
        value, middle, room = map(float, found.groups())
        error = abs(value - middle)
    else:
        return None
    return max(error, 0.0) / room if room > 0 else None


class Room:
    def __init__(self, path):
        self.path, self.most = path, {}

    def note(self, item, what, share):
        where = (item.nodeid, what)
        self.most[where] = max(share, self.most.get(where, 0.0))

    def pytest_assertion_pass(self, item, orig, expl):
        share = used(expl)
        if share is not None:
            self.note(item, orig, share)

    def pytest_runtest_teardown(self, item):
        for output in getattr(item, "test_outputs", None) or ():  # of a notebook's cell
            claim = output.get("metadata", {}).get("implicitly", {}).get("claim")
            if claim:
                self.note(item, " ".join(filter(None, (claim["id"], claim["check"]))), claim["used"])

    def pytest_sessionfinish(self):
        with open(self.path, "a", encoding="utf-8") as file:  # workers of xdist write one after the other
            file.write("".join(json.dumps([*where, share]) + "\n" for where, share in self.most.items()))


def pytest_addoption(parser):
    parser.addoption("--room", metavar="FILE", help="write how much of its tolerance each check used")


def pytest_configure(config):
    if config.option.room:
        config.pluginmanager.register(Room(config.option.room), "implicitly-room")
