"""The page around the body: the few buttons that a page has, and none of the theme's files that it does not use."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import landing

# the branch to which the workflow pushes the plain notebooks: Colab opens them from a repository only
COLAB_BRANCH = "notebooks"
SIZED = re.compile(r'<img([^>]*?) style="width: (\d+)[.\d]*px; height: (\d+)[.\d]*px;" ?/>')


# Names, operators and punctuation have the colour of the text: their spans are weight only.
PLAIN_TOKEN = re.compile(r'<span class="(?:n|o|p|w|nb)">([^<]*)</span>')


# --- the page around it ------------------------------------------------------------------------


def page_context(app, pagename, templatename, context, doctree):
    """html-page-context: the few buttons a page has; the landing has a template of its own."""
    options = app.config.html_theme_options
    repository = (options.get("repository_url") or "").rstrip("/")
    branch = options.get("repository_branch") or "main"
    context["im_repository"] = repository
    context["im_wordmark"] = landing.wordmark()
    buttons = context["im_buttons"] = []
    path = Path(app.env.doc2path(pagename)) if pagename in app.env.found_docs else None
    notebook = path is not None and path.suffix == ".ipynb"
    colab = (options.get("launch_buttons") or {}).get("colab_url")
    if notebook and colab and "github.com" in repository:
        name = repository.split("github.com/", 1)[1]
        buttons.append({"icon": "play", "label": "Run this chapter in Colab",
                        "url": f"{colab}/github/{name}/blob/{COLAB_BRANCH}/{quote(pagename)}.ipynb"})
    if notebook:  # the twin that plain_notebooks writes beside the page
        buttons.append({"icon": "download", "label": "Download this notebook", "download": True,
                        "url": f"{pagename.rsplit('/', 1)[-1]}.ipynb"})
    if path is not None and repository and options.get("use_edit_page_button"):
        source = f"{pagename}.md"  # the notebook is generated: what people edit is the Markdown
        buttons.append({"icon": "pencil", "label": "Edit this page",
                        "url": f"{repository}/edit/{branch}/{quote(source)}"})
    if context.get("body"):
        # sizes as attributes: the style sheet scales pictures, and their place is kept meanwhile
        body = SIZED.sub(r'<img\1 width="\2" height="\3" />', context["body"])
        body = PLAIN_TOKEN.sub(r"\1", body)
        # a fold's name is the text one sees (WCAG 2.5.3)
        context["body"] = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
        # docutils' role for an entry is deprecated, and is none of those a list may hold
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
    # what none of our pages uses: notebooks run elsewhere, and folds are the browser's own
    unused = ("sphinx-thebe", "thebelab", "togglebutton", "pygments.css", "design-tabs")
    for files in ("css_files", "script_files"):
        context[files] = [f for f in context[files]
                          if not any(u in str(getattr(f, "filename", f) or "") for u in unused)]
    if pagename == app.config.root_doc:
        return "landing.html"
    return None


def setup(app):
    app.connect("html-page-context", page_context, priority=900)
    app.add_css_file("tokens.css", priority=190)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
