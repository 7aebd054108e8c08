"""Where the numba backends get the memory of their results."""

import numpy as np


def empty(shape, dtype):
    """An uninitialised numpy array.

    numpy asks the system for huge pages where torch does not: for a 64 MB result that is 5 ms of
    page faults instead of 27. The tests replace this function by one that poisons and guards.
    """
    return np.empty(shape, dtype)
