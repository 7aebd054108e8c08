"""Which tests share their work, so that one worker runs them, and which of them one of several machines runs."""

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


def shard(text: str) -> tuple[int, int]:
    """"2/3", the second of three shards, as two numbers.

    Raises:
        ValueError: it is no such text.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"a shard is 1/3, 2/3 or 3/3, for example; found {text!r}")
    return int(found[1]), int(found[2])


def in_shard(nodeids: list[str], which: int, of: int) -> list[bool]:
    """Whether shard `which`, counted from 1, has each test: groups in the order in which they come, dealt like cards.

    What takes long stands first, so every shard gets its share of that.
    """
    groups = {group: place for place, group in enumerate(dict.fromkeys(map(group_of, nodeids)))}
    return [groups[group_of(nodeid)] % of == which - 1 for nodeid in nodeids]
