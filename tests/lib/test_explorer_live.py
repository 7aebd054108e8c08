"""The explorer's live side in a real Chromium: its script on a stand-in for the widget's model, compute in Python."""

import base64

import numpy as np
import pytest
from playwright.sync_api import expect

from implicitly.explorer import Bars, Choice, Explorer, Lines, Panel, Predict, Slider

pytestmark = pytest.mark.browser

# A model as anywidget gives it to a view. `kernel` is Python's; what it answers, every view hears.
MODEL = """() => {
    const heard = {};
    window.held = [];     // answers that are kept back
    window.hold = false;
    window.dead = false;  // nothing that is sent arrives
    window.gone = false;  // nothing can be sent
    window.sent = [];
    const fire = (name, ...what) => [...heard[name] ?? []].forEach(f => f(...what));
    const deliver = ({content, buffers}) => fire("msg:custom", content,
        buffers.map(b => new DataView(Uint8Array.from(atob(b), c => c.charCodeAt(0)).buffer)));
    window.release = () => { window.hold = false; held.splice(0).forEach(deliver); };
    window.model = {
        get: name => window.spec,
        on: (name, f) => (heard[name] ??= new Set()).add(f),
        off: (name, f) => heard[name]?.delete(f),
        send: content => {
            if (gone) throw new Error("Cannot send");
            sent.push(content);
            if (!dead) kernel(content).then(answer => hold ? held.push(answer) : deliver(answer));
        },
        restart: () => { window.dead = true; fire("comm_live_update"); },
    };
    // patience, without the waiting
    const wait = window.setTimeout;
    window.setTimeout = (f, ms, ...more) => wait(f, ms >= 5000 ? window.patience ?? 1500 : ms, ...more);
}"""
PICTURE = "root => [...root.querySelectorAll('.im-ex-plot svg')].map(e => e.innerHTML).join()"
T = np.linspace(0, 1, 6)


class Lab:
    """A page with views of one explorer on it."""

    def __init__(self, page, explorer, views=1):
        self.page, self.explorer, self.fault = page, explorer, None
        page.set_content("<div id=v0></div><div id=v1></div>")
        page.add_style_tag(content=explorer.widget._css)
        page.add_script_tag(content=explorer.widget._esm.partition("\nexport")[0])
        page.evaluate(MODEL)
        page.evaluate("spec => { window.spec = spec }", explorer.widget.spec)
        for k in range(views):
            page.evaluate("k => { Explorer.live(model, document.querySelector(`#v${k}`)) }", k)
        expect(page.locator("[data-im-ready=live]")).to_have_count(views)

    def kernel(self, content):
        answers = []
        self.explorer.widget.send = lambda *what: answers.append(what)
        try:
            self.explorer.widget._answer(None, content, [])
        except BaseException:
            if self.fault is None:
                raise
        (content, *buffers) = answers[0]
        return {"content": content, "buffers": [base64.b64encode(b).decode() for b in (buffers or [[]])[0]]}

    def root(self, view=0):
        return self.page.locator(f"#v{view} .im-explorer")

    def turn(self, position, name="a", view=0):
        self.root(view).locator(f"[data-im-control='{name}'] [type=range]").evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})) }", position
        )
        self.page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def last(self, view=0):
        """The last value of the line, as its side bar says it."""
        return self.root(view).locator("[data-im-bar='0:0'] b")

    def message(self, view=0):
        return self.root(view).locator("[data-im-message]")


@pytest.fixture
def lab(chromium):
    """Starts a `Lab`; its explorer's compute raises `lab.fault` when that is set."""
    page = chromium.new_page()
    errors, made = [], []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.expose_function("kernel", lambda content: made[0].kernel(content))

    def start(values=(1.0, 2.0, 4.0), views=1, predict=None, **more):
        def compute(a, kind):
            if made and made[0].fault:
                raise made[0].fault
            y = a**2 * T * (1 if kind == "x" else -1)
            return {"t": T, "y": y, "end": y[-1:]}

        explorer = Explorer(
            compute,
            [Slider("a", values, **more), Choice("kind", ["x", "y"])],
            Panel(Lines("t", "y")),
            side=Bars("end", labels=["end"], format=".4g"),
            title="Squares",
            alt="A line.",
            predict=predict,
        )
        made.append(Lab.__new__(Lab))
        made[0].__init__(page, explorer, views)
        return made[0]

    yield start
    page.close()
    assert not errors


def test_two_views_keep_their_own_answers(lab):
    """Each numbers its questions from 1, and both hear every answer."""
    two = lab(views=2)
    two.page.evaluate("() => { window.hold = true }")
    two.turn(0.5, view=0)
    two.turn(1.5, view=1)
    two.page.wait_for_function("held.length === 2")
    two.page.evaluate("held.reverse()")
    two.page.evaluate("release()")
    expect(two.last(0)).to_have_text("2.25")
    expect(two.last(1)).to_have_text("9")
    assert two.page.evaluate("sent.map(c => c.number)") == [1, 1]
    assert two.page.evaluate("new Set(sent.map(c => c.view)).size") == 2


@pytest.mark.parametrize("value", ["1000.4", "1000.9", "1000.123456"])
def test_what_is_shown_is_what_is_computed(lab, value):
    """1000.4 and 1000.9 were both cut to 1000."""
    one = lab((1000.0, 1001.0))
    one.turn(round(float(value) - 1000, 1))
    field = one.root().locator("[data-im-value]")
    one.page.wait_for_function("sent.length === 1")
    assert float(field.input_value()) == one.page.evaluate("sent.at(-1).params.a")
    field.fill(value)
    field.press("Enter")
    one.page.wait_for_function(f"sent.at(-1).params.a === {value}")
    assert field.input_value() == value
    assert one.root().locator("[type=range]").get_attribute("aria-valuetext") == value


def test_an_interrupt_is_told_and_the_explorer_goes_on(lab):
    one = lab()
    one.fault = KeyboardInterrupt()
    one.turn(0.5)
    expect(one.message()).to_contain_text("It was interrupted")
    expect(one.root()).not_to_have_attribute("aria-busy", "true")
    one.fault = None
    one.turn(1.5)
    expect(one.last()).to_have_text("9")
    expect(one.message()).to_be_hidden()
    one.turn(0.5)  # what was interrupted is asked again
    expect(one.last()).to_have_text("2.25")


def test_a_silent_kernel_hands_over_to_the_table_and_may_come_back(lab):
    one = lab()
    one.page.evaluate("() => { window.hold = true }")
    one.turn(0.5)
    expect(one.root()).to_have_attribute("aria-busy", "true")
    expect(one.last()).to_have_text("4")
    expect(one.message()).to_have_text("The kernel does not answer: showing the stored table.", timeout=5000)
    expect(one.last()).to_have_text("2.5")  # between 1 and 4, as on the page
    expect(one.root()).not_to_have_attribute("aria-busy", "true")
    assert one.root().get_attribute("data-im-stale") is None, "the picture is of this setting"
    before = one.root().evaluate(PICTURE)
    one.page.evaluate("release()")  # it was slow and no more
    expect(one.last()).to_have_text("2.25")
    expect(one.message()).to_be_hidden()
    assert one.root().evaluate(PICTURE) != before


@pytest.mark.parametrize("how", ["model.restart()", "window.gone = true"])
def test_without_a_kernel_the_table_answers_at_once(lab, how):
    """After a restart the words moved and the picture did not."""
    one = lab()
    one.page.evaluate(f"() => {{ {how} }}")
    pictures = set()
    for position, end in ((0.0, "1"), (2.0, "16"), (1.5, "10")):
        one.turn(position)
        assert one.last().inner_text() == end
        pictures.add(one.root().evaluate(PICTURE))
        expect(one.message()).to_contain_text("The kernel does not answer")
    assert len(pictures) == 3
    one.page.wait_for_timeout(1800)  # and it does not wait for ever
    expect(one.root()).not_to_have_attribute("aria-busy", "true")
    one.page.evaluate("() => { window.dead = window.gone = false }")
    one.turn(0.5)
    expect(one.last()).to_have_text("2.25")
    expect(one.message()).to_be_hidden()


def test_a_busy_kernel_is_not_flooded(lab):
    one = lab()
    one.page.evaluate("() => { window.hold = true; window.patience = 60000 }")  # turning may take a while
    for k in range(1, 20):
        one.turn(k / 10)
    assert one.page.evaluate("sent.length") <= 2
    one.page.evaluate("release()")
    expect(one.last()).to_have_text("14.44")


def test_a_question_is_asked_in_jupyter_too(lab):
    """Each view has a form of its own; what is said in one is known to those that are made later."""
    two = lab(views=2, predict=Predict("How far is the end?", 4.0, tolerance=0.5, because="It is squared."))
    for view in (0, 1):
        assert two.root(view).locator(".im-ex-controls :enabled").count() == 0
    field = two.root(0).get_by_role("textbox", name="How far is the end?")
    field.fill("3.5")
    assert field.get_attribute("data-lm-suppress-shortcuts") == "true", "Enter is the form's and not JupyterLab's"
    field.press("Enter")
    expect(two.root(0).locator("[data-im-told]")).to_have_text("Right. The answer: 4. It is squared.")
    expect(two.root(1).locator("[data-im-told]")).to_be_hidden()
    two.turn(0.5)
    expect(two.last()).to_have_text("2.25")
