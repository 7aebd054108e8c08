"""What every test runs under: one thread a process, and the same property-test examples each time."""

import os

# Two workers with two threads each get in each other's way: a small training loop runs ten times slower.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from hypothesis import settings  # noqa: E402

# `--hypothesis-profile=default` tries new examples; the weekly workflow does.
settings.register_profile("same-each-time", derandomize=True, deadline=None)
settings.load_profile("same-each-time")
