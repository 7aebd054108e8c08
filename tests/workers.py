"""Which tests share their work, so that one worker runs them."""

import re


def group_of(nodeid: str) -> str:
    """A page in the browser, what runs the cells of one chapter, what changes the template, or else a file."""
    file, _, test = nodeid.partition("::")
    if file.startswith("tests/browser/"):
        page = re.search(r"(?:chapters|book)/[\w-]+\.html|search\.html", test)
        return page[0] if page else file
    if file.startswith("tests/chapters/"):
        found = re.search(r"test_(\w+)_(claims|exercises)\.py$", file)
        return found[1].replace("_", "-") if found else re.sub(r".*\[|\]", "", test)
    return re.sub(r"(tests/test_chapters)_\w+\.py", r"\1.py", file)
