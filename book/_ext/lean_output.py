"""A finished book without what no page uses of the theme's style sheets, fonts and scripts."""

from __future__ import annotations

from pathlib import Path

import css_purge


def finish(app, error) -> None:
    """build-finished: drop what no page uses from the theme's style sheets, fonts and scripts."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    css_purge.purge_site(out)
    static = out / "_static"
    for unused in ("scripts/fontawesome.js", "scripts/bootstrap.js", "vendor/fontawesome",
                   "sphinx-thebe.js", "sphinx-thebe.css", "searchtools.js", "language_data.js"):
        css_purge.remove(static / unused)
    for leftover in [*static.glob("*webpack-macros.html"), *static.glob("scripts/*.map"), *static.glob("styles/*.map"),
                     *static.glob("scripts/*.LICENSE.txt")]:
        leftover.unlink()


def setup(app):
    app.connect("build-finished", finish, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
