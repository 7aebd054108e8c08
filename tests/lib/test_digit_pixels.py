"""The digits come from scikit-learn's file, and from scikit-learn where that lies elsewhere."""

import importlib.util
import subprocess
import sys

import numpy as np
from sklearn.datasets import load_digits

from implicitly import data


def test_the_file_holds_what_scikit_learn_loads(monkeypatch):
    known = load_digits()
    for find in (importlib.util.find_spec, lambda name: None):
        monkeypatch.setattr(importlib.util, "find_spec", find)
        data._file.cache_clear()
        pixels, target = data.digit_pixels()
        assert pixels.dtype == np.float64 and target.dtype == np.int64
        assert np.array_equal(pixels, known.data) and np.array_equal(target, known.target)
        pixels[:] = -1  # the next caller gets others
        assert np.array_equal(data.digit_pixels()[0], known.data)
    data._file.cache_clear()


def test_scikit_learn_is_not_imported_for_its_digits():
    code = "import sys; from implicitly import data; data.digits(10, flip=0.0, seed=0); print('sklearn' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
