"""A chapter's own code, run for one check at a time, with a fault in the library if need be.

`Chapter("stable-minima").check("C7", "edge")` finds the `claim` call of that check and runs it with the statements
that it rests on, found by the names they use; figures and printing are nobody's need and are left out. So data,
relation and bound are the chapter's. Each statement gets the names that it reads and hands on the names that it binds
or changes; what it handed on is kept for the session. With a fault planted only those statements run again that called
what was planted, and those that rest on them.
"""

import ast
import contextlib
import copy
import cProfile
import functools
import re
import sys
import textwrap
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from chapter_statements import Statement
from planting import owner_of, plant

import implicitly.claims

CHAPTERS = Path(__file__).parents[1] / "chapters"
LOOSER = 100.0


def code_cells(text):
    """Source of a chapter's code cells, without the set-up cell."""
    found = re.findall(r"^```\{code-cell\} python\n(.*?)^```$", text, re.M | re.S)
    return [re.sub(r"\A---\n.*?^---\n|\A:tags:[^\n]*\n", "", cell, flags=re.M | re.S) for cell in found[1:]]


def copied(value):
    """One's own to change."""
    if isinstance(value, torch.Generator):  # `deepcopy` does not know it
        return torch.Generator().set_state(value.get_state())
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    return type(value)(map(copied, value)) if type(value) in (list, tuple, set) else copy.deepcopy(value)


def print_of(value):
    """Another one after a change in place."""
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, torch.Tensor):
        return id(value), value._version
    if isinstance(value, dict):
        return [(key, print_of(part)) for key, part in value.items()]
    return [*map(print_of, value)] if type(value) in (list, tuple, set) else id(value)


def codes_of(thing):
    """Code objects that run when a function, property or class of the library is called."""
    if isinstance(thing, type):
        return set().union(*[codes_of(part) for part in vars(thing).values() if not isinstance(part, type)])
    thing = thing.fget if isinstance(thing, property) else getattr(thing, "__func__", thing)
    while hasattr(thing, "__wrapped__"):
        thing = thing.__wrapped__
    return {thing.__code__} if hasattr(thing, "__code__") else set()


@contextlib.contextmanager
def noting(called):
    """Add the code objects that run to `called`: of this thread, and of those that it starts.

    The profiler in C costs next to nothing; a thread that is started has only the slow one of `sys.setprofile`.
    """
    here = cProfile.Profile(subcalls=False, builtins=False)
    threading.setprofile(lambda frame, event, _: called.add(frame.f_code) if event == "call" else None)
    here.enable()
    try:
        yield
    finally:
        here.disable()
        threading.setprofile(None)
        called |= {entry.code for entry in here.getstats()}


def forget():
    """Empty the library's caches: they hold what was computed with a fault, and hide calls."""
    for name, module in list(sys.modules.items()):
        if name.startswith("implicitly"):
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


class Chapter:
    """The statements of a chapter and its checks.

    Args:
        slug: the chapter's name.
        smaller: code of the chapter and what stands in its place, as ``{"range(36)": "range(4)"}``; cells with a claim
            stay as they are.
        text: the chapter's text, if it is not that of the file.
    """

    kept: dict = {}  # noqa: RUF012 what statements handed on, and the code that they called; by what they rest on

    def __init__(self, slug, smaller=None, text=None):
        self.slug, self.statements, self.checks = slug, [], {}
        self.text = text = (CHAPTERS / f"{slug}.md").read_text(encoding="utf-8") if text is None else text
        unused = set(smaller or {})
        for index, cell in enumerate(code_cells(text)):
            if not re.search(r"^claim\(", cell, re.M):
                for old, new in (smaller or {}).items():
                    unused -= {old} if old in cell else set()
                    cell = cell.replace(old, new)
            for node in ast.parse(cell).body:
                self.statements.append(Statement(node, index))
                call = node.value if isinstance(node, ast.Expr) else None
                if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "claim":
                    check = {k.arg: k.value for k in call.keywords}.get("check")
                    name = call.args[0].value.removeprefix(slug + "/"), check and check.value
                    assert name not in self.checks, f"{name} is claimed twice"
                    self.checks[name] = len(self.statements) - 1
        assert not unused, f"not in the chapter: {unused}"
        made = {
            name for s in self.statements if "Generator(" in s.source and not s.anew and isinstance(s.node, ast.Assign)
            for name in s.hands_on
        }  # fmt: skip
        for s in self.statements:  # whoever draws from a generator changes it
            if not s.anew:
                s.changes |= s.reads & made
                s.hands_on |= s.changes
        self._inputs, self._keys = {}, {}

    def inputs(self, index):
        """Name -> index of the statement that hands it on, for all that a statement reads."""
        if index not in self._inputs:
            todo, found = sorted(self.statements[index].reads), {}
            while todo:
                name = todo.pop()
                before = [k for k in range(index) if name in self.statements[k].hands_on]
                if name not in found and before:
                    found[name] = before[-1]
                    if self.statements[before[-1]].anew:
                        todo += sorted(self.statements[before[-1]].later | self.statements[before[-1]].reads)
            self._inputs[index] = found
        return self._inputs[index]

    def key(self, index):
        if index not in self._keys:
            s = self.statements[index]
            rests_on = () if s.anew else sorted((name, self.key(k)) for name, k in self.inputs(index).items())
            self._keys[index] = hash((s.source, tuple(rests_on)))
        return self._keys[index]

    def rests_on(self, index):
        """Indices of the statements that a statement rests on, itself the last."""
        found, todo = set(), [index]
        while todo:
            k = todo.pop()
            if k not in found:
                found.add(k)
                todo += self.inputs(k).values()
        return sorted(found)

    def names(self, index, handed_on):
        """What a statement finds when it runs; `handed_on(k)` are the names of statement k."""
        inputs, names = self.inputs(index), {"__name__": "chapter"}
        for name, k in inputs.items():
            if not self.statements[k].anew:
                value = handed_on(k)[name]
                names[name] = copied(value) if name in self.statements[index].changes else value
        for k in sorted(set(inputs.values())):
            if self.statements[k].anew:
                exec(compile(self.statements[k].source, f"cell {self.statements[k].cell}", "exec"), names)
        return names

    def execute(self, index, handed_on, called=None):
        """Run one statement; the names that it hands on. Code that ran is added to `called`."""
        s, names = self.statements[index], self.names(index, handed_on)
        kept = {name: print_of(names[name]) for name in self.inputs(index) if name not in s.changes}
        program = compile(s.source, f"cell {s.cell}", "exec")
        forget()
        with contextlib.nullcontext() if called is None else noting(called):
            exec(program, names)
        for name in kept.keys() - (s.hands_on - s.changes):
            assert print_of(names[name]) == kept[name], f"cell {s.cell} changes {name!r} unseen: {s.source[:80]}"
        return {name: names[name] for name in s.hands_on if name in names}

    def sound(self, index):
        """What a statement hands on without a fault."""
        key = self.key(index)
        if key not in self.kept:
            called = set()
            found = self.execute(index, self.sound, called)
            self.kept[key] = found, called
        return self.kept[key][0]

    def check(self, claim, check=None):
        """Run one check without a fault."""
        self.sound(self.checks[claim, check])

    def check_with(self, planted, claim, check=None):
        """Run one check again, as far as it calls `planted` (code objects), which has been replaced."""
        last, found = self.checks[claim, check], {}
        for k in self.rests_on(last):
            if not self.statements[k].anew:
                touched = bool(self.kept[self.key(k)][1] & planted)
                if touched or any(j in found for j in self.inputs(k).values()):
                    found[k] = None
        if not found:
            raise LookupError(f"nothing that {claim} ({check}) rests on calls what was planted")

        def handed_on(k):
            if k not in found:
                return self.sound(k)
            if found[k] is None:
                found[k] = self.execute(k, handed_on)
            return found[k]

        handed_on(last)

    def at_hand(self, code):
        """What a reader has after the last cell, as far as `code` reads it: names of their own, to change at will."""
        end = Statement(ast.parse("if True:\n" + textwrap.indent(code, "    ")).body[0], len(self.statements))
        self.statements.append(end)
        try:
            return self.names(len(self.statements) - 1, lambda k: copied(self.sound(k)))
        finally:
            self._inputs.pop(len(self.statements) - 1)
            self.statements.pop()

    def solutions(self):
        """Label of an exercise -> the code in its folded solution, where there is some."""
        folds = re.findall(r"^::::\{solution\} (\S+)\n(.*?)^::::$", self.text, re.M | re.S)
        codes = {label: "\n\n".join(re.findall(r"^```python\n(.*?)^```$", fold, re.M | re.S)) for label, fold in folds}
        return {label: code for label, code in codes.items() if code}

    def sweep(self, *smaller):
        """Run the sweep that the text shows and no cell runs, with texts in place of others; its table."""
        (text,) = re.findall(r"^```python\n(from implicitly import sweep.*?)^```$", self.text, re.M | re.S)
        for big, small in smaller:
            assert big in text, f"the sweep of the text has no {big}"
            text = text.replace(big, small)
        names = self.at_hand(text)
        exec(compile(text, "sweep", "exec"), names)
        return names["table"]

    def solve(self, label):
        """Run the code of a solution after the chapter; the names that it leaves."""
        code = self.solutions()[label]
        names = self.at_hand(code)
        exec(compile(code, label, "exec"), names)
        return names


def each_solution(cells):
    """A test for a module to hold: every solution with code runs, one case each."""

    @pytest.mark.parametrize("label", sorted(cells.solutions()))
    def test_solution(label):
        cells.solve(label)

    return test_solution


@functools.cache
def chapter(slug, smaller=()):
    return Chapter(slug, dict(smaller))


@dataclass(frozen=True, eq=False)
class Fault:
    """A fault that breaks one check.

    Attributes:
        claim, check: which.
        path: what is replaced, as `planting.plant` takes it.
        fault: what stands in its place.
        smaller: code of the chapter that is replaced to save time; the check must hold so, too.
        far: the check fails by more than a factor of a hundred. A check needs a fault that is not far: else its bound
            could be a hundred times looser, and no test would see it.
    """

    claim: str
    check: str | None
    path: str
    fault: object
    smaller: dict = field(default_factory=dict)
    far: bool = False

    def __str__(self):
        return f"{self.claim} {self.check or ''} {getattr(self.fault, '__name__', type(self.fault).__name__)}"


def changed_by(path, change, name):
    """A fault: what a function of the library returns, each part if there are several, after `change`."""
    owner, last = owner_of(path)
    original = vars(owner)[last]

    def fault(*args, **given):
        found = original(*args, **given)
        return tuple(map(change, found)) if isinstance(found, tuple) else change(found)

    fault.__name__ = f"{last} {name}"
    return fault


def scaled(path, factor):
    return changed_by(path, lambda value: value * factor, f"times {factor:.12g}")


def shifted(path, by):
    return changed_by(path, lambda value: value + by, f"plus {by:.12g}")


def holds(measured, at_most=None, at_least=None, equals=None, within=None, looser=1.0):
    """A claim's comparison, with a bound that is looser by a factor; a count that must be exact has none."""
    if within == 0:
        return looser > 1 or measured == equals
    if at_most is not None:
        return measured <= at_most * looser
    if at_least is not None:
        return measured >= at_least / looser
    return abs(measured - equals) <= within * looser


def see_it_fail(slug, fault, monkeypatch):
    """The check holds, and with the fault planted it alone raises ClaimError; not far from the bound, if so said."""
    cells = chapter(slug, tuple(fault.smaller.items()))
    cells.check(fault.claim, fault.check)
    owner, name = owner_of(fault.path)
    planted = codes_of(vars(owner)[name])
    assert planted, f"{fault.path} is no Python function"
    plant(monkeypatch, fault.path, fault.fault)
    seen = {}

    def listening(*args, **given):
        seen.update({k: float(given[k]) for k in ("measured", "at_most", "at_least", "equals", "within") if k in given})
        return implicitly.claims.claim(*args, **given)

    monkeypatch.setattr(implicitly, "claim", listening)
    label = f"{slug}/{fault.claim}" + (f" ({fault.check})" if fault.check else "")
    with pytest.raises(implicitly.claims.ClaimError, match=re.escape(f"{label}: FAILS")):
        cells.check_with(planted, fault.claim, fault.check)
    forget()
    far = not holds(**seen, looser=LOOSER)
    assert far == fault.far, f"far is {far} where {seen}"


def without_near_fault(slug, faults):
    """The checks of a chapter for which no fault is planted, or only one that is far."""
    return set(chapter(slug).checks) - {(f.claim, f.check) for f in faults if not f.far}
