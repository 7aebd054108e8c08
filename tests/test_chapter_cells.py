"""The harness that runs a chapter's cells for one check: it must find what the check rests on, and nothing stale."""

import pytest
from chapter_cells import Chapter, Fault, chapter, codes_of, see_it_fail, without_near_fault
from planting import plant

from implicitly import ClaimError, chance

SETUP = "import sys"
IMPORTS = "import torch\nfrom implicitly import chance, claim"


def made(*cells, smaller=None):
    text = "".join(f"```{{code-cell}} python\n{cell}\n```\n" for cell in (SETUP, IMPORTS, *cells))
    return Chapter("toy", smaller, text=text)


def claims(measured, equals, check="it"):
    return f'claim(\n"toy/C1", "A test.", check="{check}", measured={measured}, equals={equals}, within=0)'


@pytest.mark.parametrize(
    ("cells", "measured", "equals"),
    [
        (["a = [1]", "a.append(2)", "a = [*a, 3]", "b = sum(a)"], "b", 6),
        (["a = {}", "for k in range(3):\n    a[k] = k", "a[2] += 5"], "sum(a.values())", 8),
        (["x = 1", "def f():\n    return x", "x = 2", "y = f()", "x = 3"], "y", 2),  # what the name means at the call
        (["x = 1", "def f(y=x):\n    return y", "x = 2"], "f()", 1),
        (["def f():\n    return g()", "def g():\n    return 4"], "f()", 4),
        (["a, b = [], []", "for n, store in ((1, a), (2, b)):\n    store.append(n)"], "a[0] + 10 * b[0]", 21),
        (["g = torch.Generator().manual_seed(0)", "a = torch.rand(1, generator=g)", "b = torch.rand(1, generator=g)",
          "h = torch.Generator().manual_seed(0)\nc = torch.rand(2, generator=h)"], "float(b - c[1])", 0),
        (["t = torch.zeros(2)", "t += 1", "t[0] = 5", "u = t.clone()", "t.mul_(2)"], "int(u.sum() + t.sum())", 18),
        (["import matplotlib.pyplot as plt\nz = 7\nplt.show()", "del_ = 0"], "z", 7),
        (["z = 7", "x = [z for z in range(3)]", "f = lambda z: z + 1"], "f(z)", 8),
    ],
)  # fmt: skip
def test_a_check_sees_what_a_reader_sees(cells, measured, equals):
    made(*cells, claims(measured, equals)).check("C1", "it")
    with pytest.raises(ClaimError):
        made(*cells, claims(measured, equals + 1)).check("C1", "it")


def test_later_changes_do_not_reach_an_earlier_check():
    toy = made("a = [1]", claims("len(a)", 1), "a.append(2)", claims("len(a)", 2, "later"))
    for check in ("later", "it", "later"):
        toy.check("C1", check)


def test_a_change_that_the_text_does_not_show_is_an_error():
    toy = made("a = [1]\nb = a", "def grow(x):\n    x.append(2)", "n = grow(a)", claims("0 if n is None else 1", 0))
    with pytest.raises(AssertionError, match="changes 'a' unseen"):
        toy.check("C1", "it")


def test_a_fault_leaves_no_trace_in_what_is_kept(monkeypatch):
    toy = made("import pandas", 't = pandas.DataFrame({"a": [1.0]})', 't["b"] = chance.share_interval(3, 10)[0]',
               "t.b *= 2", claims("0 if t.b[0] < 1 else 1", 0), claims("int(t.b[0] > 1)", 0, "later"))  # fmt: skip
    toy.check("C1", "it")
    planted = codes_of(chance.share_interval)
    with monkeypatch.context() as context:
        plant(context, "implicitly.chance.share_interval", lambda hits, trials: (3.0, 3.0))
        with pytest.raises(ClaimError):
            toy.check_with(planted, "C1", "it")
    toy.check("C1", "later")


HITS = "low, high = chance.share_interval(3, 10)"


def test_only_what_calls_the_planted_function_runs_again(monkeypatch):
    toy = made(HITS, "count = [0]", "count[0] += 1", "wide = high - low > 0", claims("int(wide) + count[0]", 2))
    toy.check("C1", "it")
    ran = []
    execute = Chapter.execute

    def listening(self, index, *rest):
        ran.append(self.statements[index].source)
        return execute(self, index, *rest)

    monkeypatch.setattr(Chapter, "execute", listening)
    planted = codes_of(chance.share_interval)
    plant(monkeypatch, "implicitly.chance.share_interval", lambda hits, trials: (0.5, 0.5))
    with pytest.raises(ClaimError, match="toy/C1"):
        toy.check_with(planted, "C1", "it")
    assert sorted(source.split(" =")[0][:5] for source in ran) == ["claim", "low, ", "wide"]
    monkeypatch.undo()
    toy.check("C1", "it")  # what was kept is not what ran with the fault


def test_a_fault_that_nothing_calls_is_an_error():
    toy = made("x = 1", claims("x", 1))
    toy.check("C1", "it")
    with pytest.raises(LookupError, match="nothing that C1"):
        toy.check_with(codes_of(chance.share_interval), "C1", "it")


def test_smaller_code_leaves_claims_alone_and_must_be_there():
    cells = "n = len(range(30))", claims("n", "len(range(30))")
    with pytest.raises(ClaimError):
        made(*cells, smaller={"range(30)": "range(5)"}).check("C1", "it")
    with pytest.raises(AssertionError, match="not in the chapter"):
        made(*cells, smaller={"range(31)": "range(5)"})


@pytest.mark.parametrize(("wrong", "far"), [(0.2, False), (20.0, True)])
def test_a_fault_is_far_or_not(monkeypatch, wrong, far):
    """The bound could be a hundred times looser, and only the fault that is not far would see it."""
    cells = HITS, 'claim(\n"toy/C1", "A test.", check="it", measured=low, at_most=0.1)'
    toy = made(*cells)
    monkeypatch.setattr("chapter_cells.chapter", lambda *_: toy)
    path = "implicitly.chance.share_interval"
    fault = Fault("C1", "it", path, lambda hits, trials: (wrong, 1.0), far=far)
    other = Fault("C1", "it", path, fault.fault, far=not far)
    with monkeypatch.context() as context:
        see_it_fail("toy", fault, context)
    with monkeypatch.context() as context, pytest.raises(AssertionError, match="far is"):
        see_it_fail("toy", other, context)
    assert without_near_fault("toy", [fault]) == ({("C1", "it")} if far else set())


def test_chapters_are_read_once():
    assert chapter("stable-minima") is chapter("stable-minima")
