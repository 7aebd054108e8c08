"""The figure style: it applies, it is the book's, it changes nothing until asked."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from implicitly import plotting

TOKENS = (Path(__file__).parents[2] / "book/_static/tokens.css").read_text(encoding="utf-8")


@pytest.fixture
def plt():
    import matplotlib

    matplotlib.use("agg")
    with matplotlib.rc_context():
        plotting.use()
        import matplotlib.pyplot as plt

        yield plt
        plt.close("all")


def test_importing_loads_no_matplotlib():
    code = "import sys, implicitly.plotting; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_palette_is_the_pages_light_one():
    light = TOKENS[TOKENS.index('html[data-theme="light"]') :]
    page = [re.search(rf"--im-c{i}: (#[0-9a-f]+)", light).group(1) for i in range(6)]
    assert list(plotting.PALETTE) == page
    named = {"prefer": plotting.PREFER, "without": plotting.WITHOUT, "ink": plotting.INK,
             "paper": plotting.PAPER, "muted": plotting.MUTED, "ok": plotting.OK}  # fmt: skip
    for token, colour in named.items():
        assert re.search(rf"--im-{token}: (#[0-9a-f]+)", light).group(1) == colour


def test_dark_palette_is_the_light_one_under_the_filter():
    """`invert(1) hue-rotate(180deg)`, the matrix of the CSS filter specification, within 1/255."""
    dark = TOKENS[TOKENS.index('html[data-theme="dark"]') :]
    rotate = [[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]]
    for i, colour in enumerate(plotting.PALETTE):
        inverted = [255 - int(colour[j : j + 2], 16) for j in (1, 3, 5)]
        expected = [min(255, max(0, sum(a * b for a, b in zip(row, inverted, strict=True))))
                    for row in rotate]  # fmt: skip
        found = re.search(rf"--im-c{i}: #([0-9a-f]+)", dark).group(1)
        assert [int(found[j : j + 2], 16) for j in (0, 2, 4)] == pytest.approx(expected, abs=1.5)


def test_colours_dashes_and_markers_go_together(plt):
    assert len(plotting.PALETTE) == len(plotting.DASHES) == len(plotting.MARKERS) == 6
    assert len(set(map(str, plotting.DASHES))) == len(set(plotting.MARKERS)) == 6
    cycle = list(plt.rcParams["axes.prop_cycle"])
    assert [step["color"] for step in cycle] == list(plotting.PALETTE)


@pytest.mark.parametrize("index", [-1, 6, 1.0, "1", True, None])
def test_a_wrong_index_is_refused(index):
    with pytest.raises((TypeError, ValueError), match="index must be a whole number from 0 to 5, found"):
        plotting.line(index)


def test_what_use_sets_is_what_settings_says_and_can_be_taken_off():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context():
        matplotlib.rcParams["lines.scale_dashes"] = False  # not ours
        plotting.use()
        changed = {name for name, value in matplotlib.rcParams.items() if value != before[name]}
        assert changed - {"lines.scale_dashes"} <= set(plotting.settings())
        assert not matplotlib.rcParams["lines.scale_dashes"]
        once = dict(matplotlib.rcParams)
        plotting.use()
        assert dict(matplotlib.rcParams) == once
    assert dict(matplotlib.rcParams) == before


def test_one_font_ours_no_warning(plt, caplog):
    fig, ax = plt.subplots()
    ax.set(title="Score flow, $\\sigma_T$", xlabel="−1 × 2 ° é", ylabel="y")
    fig.savefig(io.BytesIO())
    assert not caplog.records
    assert ax.title.get_fontname() == plotting.FAMILY
    assert Path(plt.matplotlib.font_manager.findfont(ax.title.get_fontproperties())).stem.endswith("SemiBold")
    assert plt.matplotlib.font_manager.findfont(plotting.FAMILY).startswith(str(plotting._FONTS))


def test_pictures_are_the_same_bytes_each_time(plt):
    def picture():
        fig, ax = plt.subplots(figsize=plotting.COLUMN)
        for i in range(6):
            ax.plot(range(4), [i + x**2 for x in range(4)], **plotting.line(i))
            ax.plot(range(4), [i + x for x in range(4)], **plotting.points(i))
        plotting.disc(ax, [1], [1]), plotting.ring(ax, [2], [2])
        out = io.BytesIO()
        fig.savefig(out, metadata={"Software": None})
        plt.close(fig)
        return out.getvalue()

    assert picture() == picture()


def test_transparent_at_the_size_asked_for(plt):
    from PIL import Image

    fig, ax = plt.subplots(figsize=plotting.WIDE)
    ax.plot([0, 1])
    out = io.BytesIO()
    fig.savefig(out)
    image = Image.open(out)
    assert image.size == (round(plotting.WIDE[0] * 200), round(plotting.WIDE[1] * 200))
    assert image.mode == "RGBA"
    assert image.getpixel((2, 2))[3] == 0


@pytest.mark.parametrize("height", [3.4, 4.2, 4.7])
def test_labels_of_panels_with_equal_scales_are_not_cut(plt, height):
    fig, axes = plt.subplots(1, 2, figsize=(8.7, height), sharey=True)
    for ax in axes:
        ax.set(title="Title", xlabel="$u_2$", xlim=(-0.45, 1.5), ylim=(-0.33, 1.48), aspect="equal")
    axes[0].text(1.1, 1.2, "words\noutside the axes")
    fig.draw_without_rendering()  # once, as when a picture is saved
    box = fig.get_tightbbox()
    assert box.y0 >= 0 and box.y1 <= height and box.x0 >= 0 and box.x1 <= 8.7


def test_maps_are_registered_once(plt):
    plotting.use()
    assert plt.rcParams["image.cmap"] == "implicitly"
    low = plt.get_cmap("implicitly_diverging")(0.0)
    assert plt.matplotlib.colors.to_hex(low) == plotting.WITHOUT


def test_a_diagram_draws_what_it_is_given(plt):
    """The words of the vocabulary put their things where they say."""
    ax = plotting.diagram(plt.figure().subplots(), "One", "two", xlim=(0, 4), ylim=(0, 2))
    assert ax.get_xlim() == (0, 4) and ax.get_aspect() == 1 and not ax.axison
    (dots,) = plotting.path(ax, [0, 1, 2, 3], [1, 0, 1, 0], heads=1)
    assert dots.get_xdata().tolist() == [0, 1, 2, 3] and dots.get_markerfacecolor() == plotting.PREFER
    assert len(ax.lines) == 1 + 2  # the dots, and two steps without a head
    (hollow,) = plotting.path(ax, [0, 1], [0, 0], hollow=True, heads=0)
    assert hollow.get_markerfacecolor() == plotting.PAPER
    (area,) = plotting.region(ax, [0, 1, 1], [0, 0, 1])
    assert area.get_xy()[:3].tolist() == [[0, 0], [1, 0], [1, 1]]
    before = len(ax.lines)
    layers = plotting.network(ax, [2, 3, 1], at=(1, 0), width=2, height=1)
    assert [len(layer) for layer in layers] == [2, 3, 1]
    assert layers[0][0].tolist() == [1, 0.75] and layers[2].tolist() == [[3, 0.5]]
    assert len(ax.lines) - before == 2 * 3 + 3 * 1 + 3  # weights, and the dots of three layers
    before = len(ax.lines)
    plotting.threshold_unit(ax, (2, 1), [[1, 1], [1, 0]], label="sum")
    assert len(ax.lines) - before == 2 + 1 + 1 and ax.texts[-1].get_text() == "sum"
    plt.gcf().savefig(io.BytesIO())


def test_dots_take_options_that_they_set_themselves(plt):
    (dots,) = plotting.ring(plt.figure().subplots(), 0, 0, mew=1.1, zorder=9)
    assert dots.get_markeredgewidth() == 1.1 and dots.get_zorder() == 9
