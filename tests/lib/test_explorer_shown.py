"""What is shown of an explorer without a kernel: its output, its still picture, its page, its words."""

import base64
import json
import re

import numpy as np
import pytest
from explorer_samples import T, bundle, lines, samples, still_of

from implicitly.explorer import Choice, Heatmap, Lines, Panel, Predict, Slider, Trajectories
from implicitly.explorer.layers import Layer, Need
from implicitly.explorer.text import fields, format_value, label_html, label_text


def test_the_bundle_has_widget_picture_and_words(all_samples):
    explorer = all_samples["clock"]
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain", "image/png"}
    assert data["text/plain"].split("\n") == [repr(explorer), explorer.alt, explorer.sentence()]
    assert metadata["image/png"]["alt"] == explorer.alt
    assert "<script" not in data["text/html"]
    assert data["text/html"].count(f'src="data:image/png;base64,{data["image/png"]}"') == 1
    assert metadata["implicitly"]["explorer"] == json.loads(explorer.widget.spec)
    assert explorer._data not in json.dumps(data), "the table is data of the output, and nothing shows it"


def test_same_inputs_give_the_same_bytes():
    first, second = (samples.output(samples.curves()) for _ in range(2))
    for output in (first, second):
        output["data"].pop("application/vnd.jupyter.widget-view+json")  # not stored
    assert json.dumps(first) == json.dumps(second)


def test_what_is_stored_of_an_explorer_is_what_it_gave(all_samples):
    """`execute.py` shrinks pictures: a still is small already, and the one in the HTML is the same."""
    import nbformat

    import execute

    given = samples.output(all_samples["clock"])
    cell = nbformat.v4.new_code_cell(
        "Explorer(...)", outputs=[nbformat.from_dict({"output_type": "display_data"} | given)]
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    execute.clean(notebook)
    nbformat.validate(notebook)
    given["data"].pop("application/vnd.jupyter.widget-view+json")
    (stored,) = notebook.cells[0].outputs
    assert (stored.data, stored.metadata) == (given["data"], given["metadata"])


def test_the_still_picture_is_a_small_png(all_samples):
    from implicitly.plotting import PALETTE

    for name, explorer in all_samples.items():
        picture, image, (width, height) = still_of(explorer)
        assert len(picture) < 120_000, name
        assert abs(image.width / image.height - width / height) < 0.01
        assert image.getpixel((0, 0)) == (0xFB, 0xFA, 0xF7, 255), "on paper, whatever page it is shown on"
        assert image.getextrema()[3] == (255, 255)
        inks = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in PALETTE])
        inks = np.concatenate([inks, 0.6 * inks + 0.4 * np.array([0xFB, 0xFA, 0xF7])])  # paths shine through
        drawn = sum(n for n, c in image.getcolors(1 << 24) if np.abs(inks - c[:3]).max(1).min() < 6)
        assert drawn > 500, f"{name}: hardly a pixel in the book's colours"


def test_the_still_picture_does_not_hang_on_the_notebook_s_settings(all_samples):
    """Each trajectory had another dash after `plotting.use()`."""
    import matplotlib

    from implicitly import plotting

    explorer = all_samples["field"]  # arrows and trajectories
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        first = explorer._repr_html_()
        plotting.use()
        matplotlib.rcParams.update({"lines.linestyle": ":", "xtick.direction": "in"})
        settings = dict(matplotlib.rcParams)
        assert explorer._repr_html_() == first
        assert dict(matplotlib.rcParams) == settings


def test_paths_are_drawn_in_one_dash():
    explorer = lines(
        lambda a: {"p": np.stack(np.broadcast_arrays(T[None], np.arange(4.0)[:, None]), -1)},
        view=Panel(Trajectories("p", alpha=1.0, width=3)),
    )
    _, image, _ = still_of(explorer)
    pixels = np.array(image)
    ink = (np.abs(pixels[..., :3].astype(int) - [0xB5, 0x45, 0x0B]).max(2) < 60) & (pixels[..., 3] > 128)
    inked = ink.sum(1)
    rows = np.flatnonzero(inked > 0.3 * inked.max())
    paths = np.split(rows, np.flatnonzero(np.diff(rows) > 5) + 1)
    assert [inked[path].max() > 0.97 * inked.max() for path in paths] == [True] * 4


@pytest.mark.parametrize(("template", "without"), [("lab", ""), ("markdown", ""), ("classic", "text/html")])
def test_elsewhere_a_notebook_shows_the_picture(all_samples, template, without):
    """JupyterLab, Colab, VS Code and nbconvert take HTML before PNG: the picture stands in the HTML, too."""
    import nbconvert
    import nbformat

    explorer = all_samples["clock"]
    output = samples.output(explorer)
    for mime in ("application/vnd.jupyter.widget-view+json", without):  # the first is not stored
        output["data"].pop(mime, None)
    output = nbformat.v4.new_output("execute_result", output["data"], metadata=output["metadata"])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("Explorer(...)", outputs=[output])])
    exporter = (
        nbconvert.MarkdownExporter() if template == "markdown" else nbconvert.HTMLExporter(template_name=template)
    )
    page, _ = exporter.from_notebook_node(notebook)
    (image,) = re.findall(r"<img [^>]*>", page)
    shown = dict(re.findall(r'(\w+)="([^"]*)"', image))
    assert base64.b64decode(shown["src"].partition("base64,")[2]) == still_of(explorer)[0]
    assert shown["alt"] == explorer.alt
    assert explorer._data not in page, "no kilobytes of table"


def test_pdf_has_the_picture(all_samples):
    """LaTeX takes no HTML."""
    import nbconvert
    import nbformat

    output = samples.output(all_samples["clock"])
    output["data"].pop("application/vnd.jupyter.widget-view+json")
    output = nbformat.v4.new_output("execute_result", output["data"], metadata=output["metadata"])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("Explorer(...)", outputs=[output])])
    _, resources = nbconvert.LatexExporter().from_notebook_node(notebook)
    assert list(resources["outputs"].values()) == [still_of(all_samples["clock"])[0]]


def test_a_map_on_log_axes_has_cells_equally_wide():
    explorer = lines(
        lambda a: {"z": a * np.arange(6.0).reshape(2, 3) + 1},
        view=Panel(Heatmap("z", (0.01, 10), (1, 100), scale="log"), xscale="log", yscale="log"),
    )
    assert explorer.ranges[0] == {"x": [0.01, 10.0], "y": [1.0, 100.0]}
    assert bundle(explorer)[1]["panels"][0]["layers"][0]["limits"] == [1.0, 21.0]


class Steps(Layer):
    """A view that no module of the explorer knows."""

    def needs(self):
        return [Need("t", ("T",), "x"), Need("y", ("T",), "y")]

    def _extent(self, axis, table):
        return [[-3.0], *super()._extent(axis, table)]

    def _draw(self, ax, now, table):
        ax.step(now.arrays["t"], now.arrays["y"], color="#b5450b", lw=6)


def test_a_view_knows_itself():
    """Checks, ranges, what the page gets and the still come from the view's own methods alone."""
    explorer = lines(view=Panel(Steps()))
    assert explorer.ranges[0]["y"] == [-3.28, 4.28]
    assert bundle(explorer)[1]["panels"][0]["layers"] == [{"kind": "steps", "over": None, "until": None}]
    _, image, _ = still_of(explorer)
    assert sum(n for n, c in image.getcolors(1 << 24) if c[:3] == (0xB5, 0x45, 0x0B)) > 1000
    with pytest.raises(ValueError, match=r"'y' must have shape \(T\) for Steps"):
        lines(lambda a: {"t": T, "y": a}, view=Panel(Steps()))


def test_labels_cannot_break_the_page(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>"
    explorer = lines(
        lambda a, b: {"t": T, "y": a * T},
        [Slider("a", [1.0, 2.0], label=evil, unit=evil), Choice("b", {"x": evil, "y": "fine"})],
        Panel(Lines("t", "y", labels=[evil]), title=evil, x=evil),
        title="T " + evil,
        alt=evil,
        caption=evil,
        summary="x " + evil,
        id="evil",
    )
    text = explorer._repr_html_()
    page = samples.extension().expand(samples.output(explorer), samples.extension().placer(tmp_path, ""))
    assert "<script" not in text and "<script" not in page
    assert all("<img src=x" not in html for html in (text, page))


def test_the_page_has_picture_and_data_beside_it_and_not_in_it(all_samples, tmp_path):
    book = samples.extension()
    for explorer in all_samples.values():
        page = book.expand(samples.output(explorer), book.placer(tmp_path, "../"))
        assert "base64" not in page and page.count("<img ") == 1 and "<script" not in page
        picture, data = (re.search(rf' {name}="../([^"]+)"', page)[1] for name in ("src", "data-im-src"))
        assert explorer.id in picture and (tmp_path / picture).read_bytes() == still_of(explorer)[0]
        start, stored = (tmp_path / data).read_text(encoding="utf-8").split(",", 1)
        assert start == f'Explorer.deliver("{explorer.id}"'
        assert (
            json.loads(stored.removesuffix(");\n")) | {"chrome": bundle(explorer)[1]["chrome"]} == bundle(explorer)[1]
        )
    assert len(list(tmp_path.rglob("*.*"))) == 2 * len(all_samples)


def test_the_book_finds_explorers_in_a_notebook(all_samples, tmp_path):
    """By their metadata; HTML that only looks like an explorer's is none."""
    book, outputs = samples.extension(), [samples.output(all_samples[name]) for name in ("clock", "bars")]
    other = {"data": {"text/html": '<div class="im-explorer" data-im-explorer="x"></div>'}, "metadata": {}}
    outputs[1]["data"]["text/html"] = outputs[1]["data"]["text/html"].splitlines(True)  # as Jupyter saves it
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [{"source": ""}, {"outputs": [*outputs, other, {"name": "stdout"}]}]}))
    found = book.stored(path)
    assert list(found.values()) == outputs
    assert list(found) == [all_samples[name]._repr_html_() for name in ("clock", "bars")]
    assert book.stored(tmp_path / "a.md") == {}


def test_a_question_goes_to_the_page_and_to_other_viewers():
    choice, number = samples.asking()
    assert bundle(choice)[1]["predict"] == {
        "question": "Which way does what is left at t=1 move when λ grows?", "choices": ["up", "down", "it stays"],
        "answer": 1, "tolerance": None, "format": "", "unit": "",
    }  # fmt: skip
    data, spec = bundle(number)
    assert spec["predict"]["answer"] == pytest.approx(np.exp(-4)) and spec["predict"]["tolerance"] == 0.005
    for html in (data["text/html"], spec["chrome"]):
        assert "<details><summary>The answer</summary>" in html and "The answer: <b>1.8\u202f%</b>. Four lives." in html
    assert bundle(lines())[1]["predict"] is None and "im-ex-predict" not in bundle(lines())[1]["chrome"]
    evil = "</form><img src=x onerror=alert(1)>"
    asked = Predict(evil, evil, choices=[evil, "no"], because=evil)
    assert all("<img src=x" not in text for text in (asked.form("a"), asked.still()))
    assert "<img src=x" not in Predict(evil, 1, tolerance=1, unit=evil).form("a")


def test_a_legend_shows_paths_as_they_are_drawn():
    """On the canvas and in the still no path has a dash."""
    page = bundle(
        lines(
            lambda a: {"p": np.ones((3, 4, 2)), "k": np.array([0, 1, 2]), "t": T, "y": a * T},
            view=[Panel(Trajectories("p", "k", labels=("A", "B", "C"))), Panel(Lines("t", "y", ["D"], [1]))],
        )
    )[1]["chrome"]
    assert page.count("stroke-dasharray") == 1


def test_the_alt_text_is_read_as_words(tmp_path):
    explorer = lines(alt=r"At $\sigma_0 \le 1$ a line rises.")
    page = samples.extension().expand(samples.output(explorer), samples.extension().placer(tmp_path, ""))
    assert 'alt="At σ0≤1 a line rises."' in page and "$" not in bundle(explorer)[1]["alt"]


def test_ranges_hold_the_whole_table(all_samples):
    for explorer in all_samples.values():
        for panel, ranges in zip(explorer.panels, explorer.ranges, strict=True):
            for axis in "xy":
                low, high = ranges[axis]
                assert low < high
                if panel.lim[axis] is None:
                    for layer in panel.layers:
                        for need in layer.needs():
                            if axis in need.axes and not panel.bands:
                                pair = need.shapes[0].endswith("2")
                                values = explorer._columns[need.key + (f".{axis}" if pair else "")]
                                slack = 2e-3 * (high - low)
                                assert np.nanmin(values) >= low - slack
                                assert np.nanmax(values) <= high + slack


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.125, ".2f", "0.13"),
        (-0.001, ".2f", "0.00"),
        (-2, "d", "−2"),
        (0.9045, ".0%", "90\u202f%"),
        (6.9e-8, "", "6.9 × 10⁻⁸"),
        (1234567, "", "1.23 × 10⁶"),
        (0.2, "", "0.2"),
        (0, "", "0"),
        (float("nan"), ".1f", "–"),
    ],
)
def test_numbers_are_written_as_the_book_writes_them(value, spec, text):
    assert format_value(value, spec) == text


def test_labels_know_a_little_tex():
    assert label_html(r"noise, $\sigma_{T,0}^2$ & more") == (
        'noise, <span class="im-math"><i>σ</i><sub><i>T</i>,0</sub><sup>2</sup></span> &amp; more'
    )
    assert label_text(r"$\hat\theta \le -\mathrm{KL}$") == "θ̂≤−KL"
    for bad in (r"$\foo$", "$x_{$", "$x}$", "$x_$", "one $ dollar"):
        with pytest.raises(ValueError, match="label"):
            label_html(bad)
    assert fields("{a[1]:.0%} and {b}") == [("a", 1, ".0%"), ("b", None, "")]


def test_the_sentence_tells_the_default_state(all_samples):
    sentence = all_samples["clock"].sentence()
    assert sentence.startswith("Flow: score; Noise at the start, σT: 0.20; Angle between the edges: 94°;")
    share = all_samples["clock"].default["share"]
    assert f"{100 * share[0]:.0f}\u202f% of the starts end at a training point" in sentence
