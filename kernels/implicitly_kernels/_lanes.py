"""A small matrix applied to arrays, for numba: what lies side by side, in lanes, is worked on by vectors."""

import numpy as np

from implicitly_kernels._jit import cached_njit

U = np.uint64  # offsets: numba would look at each signed one, whether it is negative
# No "reassoc" and no "nnan": a lane has the same bits wherever it lies, and a NaN stays.
jit = cached_njit(nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "nsz"})


@jit
def combine(A, source, at, step, target, to, stride, lanes, fresh):
    """target[i] = sum_j A[i, j] source[j] for arrays of `lanes` numbers, or += where not `fresh`; A (2I, 4J).

    Entry j of the source begins at `at` + j `step`, entry i of the target at `to` + i `stride`. Vectors need 32 lanes
    in float32, 16 in float64.
    """
    at, step, to, stride, lanes = U(at), U(step), U(to), U(stride), U(lanes)
    for i in range(0, A.shape[0], 2):
        d0 = to + U(i) * stride
        d1 = d0 + stride
        for j in range(0, A.shape[1], 4):
            s0 = at + U(j) * step
            s1, s2, s3 = s0 + step, s0 + U(2) * step, s0 + U(3) * step
            a0, a1, a2, a3 = A[i, j], A[i, j + 1], A[i, j + 2], A[i, j + 3]
            b0, b1, b2, b3 = A[i + 1, j], A[i + 1, j + 1], A[i + 1, j + 2], A[i + 1, j + 3]
            if fresh and j == 0:
                for l in range(lanes):
                    p, q, r, t = source[s0 + l], source[s1 + l], source[s2 + l], source[s3 + l]
                    target[d0 + l] = a0 * p + a1 * q + a2 * r + a3 * t
                    target[d1 + l] = b0 * p + b1 * q + b2 * r + b3 * t
            else:
                for l in range(lanes):
                    p, q, r, t = source[s0 + l], source[s1 + l], source[s2 + l], source[s3 + l]
                    target[d0 + l] += a0 * p + a1 * q + a2 * r + a3 * t
                    target[d1 + l] += b0 * p + b1 * q + b2 * r + b3 * t
