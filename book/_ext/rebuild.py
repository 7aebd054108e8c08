"""The same sources give the same pages: today, tomorrow, and over what an earlier build left."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import datetime
from pathlib import Path

from sphinx.util.i18n import format_date
from sphinx.util.index_entries import split_index_msg

# Extensions copy these when the build is finished.  A page gets a style sheet's checksum only if the file is there
# while the page is written, so with an earlier build's copies it would differ.
COPIED_LAST = ("proof.css", "exercise.css", "mystnb.*.css")

#: What the pages are made with.
MAKERS = ("book/_ext", "book/_static", "book/_templates", "lib/implicitly/explorer")


def remove_late_copies(app) -> None:
    """builder-inited."""
    for pattern in COPIED_LAST:
        for path in (Path(app.outdir) / "_static").glob(pattern):
            path.unlink()


def git(folder: Path, *arguments: str) -> str:
    """What git prints; nothing where git or the repository is missing."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def source_date(app, docname: str) -> str:
    """The day of the last commit that changed a page's source, or nothing where git does not know it."""
    folder = Path(app.srcdir)
    # A shallow clone knows one commit, and says that everything was changed in it.
    if git(folder, "rev-parse", "--is-shallow-repository") != "false":
        return ""
    day = git(folder, "log", "-1", "--format=%cs", "--", f"{docname}.md")  # a notebook is made from its .md
    return format_date("%b %d, %Y", date=datetime.fromisoformat(day), language=app.config.language) if day else ""


def made_by(app) -> str:
    """A hash of what makes pages of sources: Sphinx watches sources only."""
    folders = [Path(app.srcdir) / name for name in MAKERS]
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    found = hashlib.sha256()
    for path in files:
        if "__pycache__" not in path.parts:
            found.update(str(path.relative_to(app.srcdir)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def outdated(app, env, added, changed, removed) -> set[str]:
    """env-get-outdated: the pages whose date is another than when they were built; all, if what makes them changed."""
    made, env.im_made_by = getattr(env, "im_made_by", None), made_by(app)
    before = getattr(env, "im_source_dates", {})
    env.im_source_dates = {docname: source_date(app, docname) for docname in env.found_docs}
    if made != env.im_made_by:
        return env.found_docs
    return {docname for docname, day in env.im_source_dates.items() if docname in before and before[docname] != day}


def date_of_source(app, pagename, templatename, context, doctree) -> None:
    """html-page-context: the date at a page's foot."""
    context["last_updated"] = app.env.im_source_dates.get(pagename)


def keep_index_entries(app, env) -> None:
    """env-updated: the search finds the glossary's terms after a build that did not write the glossary.

    Sphinx collects index entries while it writes a page, and loses those of pages that it does not write again.
    """
    for docname, entries in env.get_domain("index").entries.items():
        found = {(word, target or "", main) for kind, value, target, main, _ in entries
                 for word in split_index_msg(kind, value)}  # fmt: skip
        env._search_index_index_entries[docname] = sorted(found)


def setup(app):
    app.connect("builder-inited", remove_late_copies)
    app.connect("env-get-outdated", outdated)
    app.connect("env-updated", keep_index_entries)
    app.connect("html-page-context", date_of_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
