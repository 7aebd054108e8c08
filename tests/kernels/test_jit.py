"""numba's cache is an optimization: where no folder for it can be written, everything still runs."""

import os
import shutil
import subprocess
import sys

from conftest import ROOT

# Every module that compiles is imported, which is where numba looks for a folder; two small functions are run.
CODE = """
import importlib, pathlib, sys
import numba, numpy as np
import implicitly_kernels as ik
from implicitly_kernels.relu_gd import _numba as one

home = pathlib.Path(ik.__file__).parent
assert home.is_relative_to(sys.argv[1]), home
try:
    numba.njit(cache=True)(one._relu.py_func)
except RuntimeError as error:
    assert "cannot cache function" in str(error), error
else:
    sys.exit("numba found a folder for its cache: this test tests nothing")
for path in sorted(home.glob("*/_numba.py")):
    importlib.import_module(f"implicitly_kernels.{path.parent.name}._numba")
from implicitly import _guess_loop
counters = np.zeros(4, np.int64)
_guess_loop.count_words(np.zeros((3, 1), np.int64), np.zeros(1, np.int32), np.ones((1, 2), np.int16), 0, counters)
assert counters.tolist() == [0, 0, 0, 3], counters
assert one._relu(np.float32(-1), np.float32(0)) == 0
"""


def test_without_a_folder_for_the_cache(tmp_path):
    for package in ("kernels/implicitly_kernels", "lib/implicitly"):
        copy = tmp_path / package.split("/")[1]
        shutil.copytree(ROOT / package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for folder in [copy, *(p for p in copy.rglob("*") if p.is_dir())]:
            (folder / "__pycache__").touch()  # a file in the folder's place stops root, too
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": nowhere, "XDG_CACHE_HOME": nowhere}
    env.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-B", "-c", CODE, tmp_path], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
