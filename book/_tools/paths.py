"""Where things are, and the environment in which chapters run."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ROOT / "chapters"


def slugs(chapters: Path = CHAPTERS) -> list[str]:
    """Slugs of all chapters, sorted."""
    return sorted(path.stem for path in chapters.glob("*.md"))


def execution_environment() -> dict[str, str]:
    """Environment in which chapters run, here and under nbval: one thread, no network, fixed hashes."""
    here = Path(__file__).parent
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": str(here / "no_network"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


if __name__ == "__main__":  # run a command as chapters run
    os.execvpe(sys.argv[1], sys.argv[1:], execution_environment())
