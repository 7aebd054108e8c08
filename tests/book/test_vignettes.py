"""The drawings beside chapters' titles are what the library draws."""

from importlib import import_module

import pytest

import vignette


def test_every_chapter_with_drawings_has_its_miniature():
    stored = {path.stem for path in vignette.FOLDER.glob("*.svg")}
    assert stored == set(vignette.slugs()) and stored


@pytest.mark.parametrize("slug", ["score-flow", "langevin-generalization"])  # the others take seconds each
def test_a_stored_miniature_is_the_drawn_one(slug):
    drawn = import_module(f"implicitly.figures.{slug.replace('-', '_')}").miniature()
    assert drawn == (vignette.FOLDER / f"{slug}.svg").read_text(encoding="utf-8")
