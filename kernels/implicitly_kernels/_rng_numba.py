"""Philox4x32-10 and Box-Muller for numba. Same bits as `_rng.philox`; see there for the address.

All of it takes scalars, or the vectors of `_vector`: the counters' kind, or that of x, is the result's.
"""

import numba
import numpy as np

from implicitly_kernels import _rng
from implicitly_kernels._vector import bits_of_float, float_of_bits, number, product, root, where, whole, word

U32, U64, F32 = np.uint32, np.uint64, np.float32
_A, _B = U32(_rng.ROUND_A), U32(_rng.ROUND_B)
_KA, _KB = U32(_rng.KEY_A), U32(_rng.KEY_B)
_S0, _S1, _S2, _S3, _S4 = (F32(c) for c in _rng.SIN)
_C0, _C1, _C2, _C3, _C4, _C5 = (F32(c) for c in _rng.COS)


@numba.njit(inline="always")
def philox(k0, k1, c0, c1, c2, c3):
    """Ten rounds on uint32 keys and counters; returns four uint32 words.

    numba promotes uint32 arithmetic to 64 bits, so each step is cut back to 32 by hand.
    """
    for _ in range(10):
        high_b, low_b = product(_B, c2)
        high_a, low_a = product(_A, c0)
        c0 = word(high_b ^ c1 ^ k0)
        c2 = word(high_a ^ c3 ^ k1)
        c1 = low_b
        c3 = low_a
        k0 = U32(k0 + _KA)
        k1 = U32(k1 + _KB)
    return c0, c1, c2, c3


@numba.njit(inline="always")
def log(x):
    """Natural logarithm of a normal positive float32, to about 2 ulp, without a library call."""
    # Split x = m * 2**e with m in [sqrt(1/2), sqrt(2)), so that log m is a short series.
    shifted = word(bits_of_float(x) - U32(0x3F3504F3))
    fraction = word(shifted & U32(0x007FFFFF))
    e = number(word(shifted - fraction)) * F32(2.0**-23)
    f = float_of_bits(word(fraction + U32(0x3F3504F3))) - F32(1)
    s = f / (F32(2) + f)
    z = s * s
    w = z * (F32(0.66666662693) + z * (F32(0.40000972152) + z * (F32(0.28498786688)
        + z * F32(0.24279078841))))
    half = F32(0.5) * f * f
    return e * F32(0.69313812256) + (f - (half - s * (half + w)) + e * F32(9.0580006145e-06))


@numba.njit(inline="always")
def exp(x):
    """exp(x) for float32, clamped to |x| <= 87, to about 2 ulp, without a library call; NaN for NaN."""
    x = where(x < F32(-87), F32(-87), x)
    x = where(x > F32(87), F32(87), x)
    n = word(whole(x * F32(1.4426950408889634) + F32(128.5)) - U32(128))  # nearest integer
    nf = number(n)
    r = (x - nf * F32(0.693359375)) - nf * F32(-2.12194440e-4)
    p = F32(1.9875691500e-4)
    p = p * r + F32(1.3981999507e-3)
    p = p * r + F32(8.3334519073e-3)
    p = p * r + F32(4.1665795894e-2)
    p = p * r + F32(1.6666665459e-1)
    p = p * r + F32(5.0000001201e-1)
    p = p * r * r + r + F32(1)
    return p * float_of_bits(word(word(n + U32(127)) << U32(23)))


@numba.njit(inline="always")
def normal_pair(word_a, word_b):
    """Two float32 normals from two words; same map as `_rng.normal_pair`."""
    u = number(word(word_a >> U32(8))) * F32(2.0**-24) + F32(2.0**-25)
    radius = root(F32(-2) * log(u))
    g = number(word(word_b & U32(0x3FFFFFFF))) * F32(2.0**-30) - F32(0.5)
    g2 = g * g
    sin = g * (_S0 + g2 * (_S1 + g2 * (_S2 + g2 * (_S3 + g2 * _S4))))
    cos = _C0 + g2 * (_C1 + g2 * (_C2 + g2 * (_C3 + g2 * (_C4 + g2 * _C5))))
    # The quadrant, word_b >> 30: its last bit swaps the two, and a sign is the float's first bit.
    odd = number(word(word_b << U32(1))) < F32(0)
    x = where(odd, sin, cos)
    y = where(odd, cos, sin)
    sign_y = word(word_b & U32(0x80000000))
    sign_x = word(word(word_b ^ word(word_b << U32(1))) & U32(0x80000000))
    x = float_of_bits(word(bits_of_float(x) ^ sign_x))
    y = float_of_bits(word(bits_of_float(y) ^ sign_y))
    return radius * x, radius * y
