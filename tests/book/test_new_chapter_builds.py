"""`make new` starts a chapter that the whole book builds with, warnings as errors."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import execute
import new_chapter
import paths

NEEDED = ("_config.yml", "_toc.yml", "book", "chapters", "lib/implicitly", "kernels")


def test_a_new_chapter_builds_without_a_warning(tmp_path):
    for name in NEEDED:
        source, target = paths.ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    (tmp_path / "requirements.lock").write_text("")
    new_chapter.new_chapter("my-chapter", tmp_path)
    execute.execute("my-chapter", tmp_path / "chapters", tmp_path)
    builder = Path(sys.executable).with_name("jupyter-book")
    command = [str(builder), "build", ".", "-W", "-n", "--keep-going", "--quiet"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    page = (tmp_path / "_build/html/chapters/my-chapter.html").read_text()
    assert 'id="my-chapter/C1"' in page and 'href="#check-my-chapter-C1"' in page
    contents = (tmp_path / "_build/html/book/glossary.html").read_text()
    entries = dict(re.findall(r'href="../chapters/([\w-]+).html">\s*([^<]+)<', contents))
    # The next number is that of a chapter in the plan.
    assert re.match(r"\d", entries["score-flow"]) and not re.match(r"\d", entries["my-chapter"]), entries
    claims = (tmp_path / "_build/html/book/claims.html").read_text()
    assert "chapters/my-chapter.html#my-chapter/C1" in claims.replace("../", "")
