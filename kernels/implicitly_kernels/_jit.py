"""numba's compiler with its cache on disk, where there can be one."""

import logging

import numba

log = logging.getLogger("implicitly_kernels")


def cached_njit(**options):
    """`numba.njit(cache=True, **options)`; compiles anew in each process where no folder for the cache can be written.

    Numba looks beside the source, in the user's cache folder, and where NUMBA_CACHE_DIR says.
    """

    def decorate(function):
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
            log.info("%s; it is compiled anew in each process", error)
            return numba.njit(**options)(function)

    return decorate
