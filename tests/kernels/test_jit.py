"""numba's cache is an optimization: where no folder for it can be written, everything still runs."""

import os
import shutil
import subprocess
import sys

from lanes import ROOT

# Every module that compiles is imported, which is where numba looks for a folder; a small function is run.
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
assert one._relu(np.float32(-1), np.float32(0)) == 0
"""


def test_without_a_folder_for_the_cache(tmp_path):
    copy = tmp_path / "implicitly_kernels"
    shutil.copytree(ROOT / "kernels/implicitly_kernels", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [copy, *(p for p in copy.rglob("*") if p.is_dir())]:
        (folder / "__pycache__").touch()  # a file in the folder's place stops root, too
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": nowhere, "XDG_CACHE_HOME": nowhere}
    env.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-B", "-c", CODE, tmp_path], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
