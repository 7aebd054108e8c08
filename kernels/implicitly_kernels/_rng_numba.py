"""Philox4x32-10 and Box-Muller for numba. Same bits as `_rng.philox`; see there for the address."""

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from implicitly_kernels import _rng

U32, U64, F32 = np.uint32, np.uint64, np.float32
_A, _B = U64(_rng.ROUND_A), U64(_rng.ROUND_B)
_KA, _KB = U32(_rng.KEY_A), U32(_rng.KEY_B)
_M = U64(_rng.MASK)
_S0, _S1, _S2, _S3, _S4 = (F32(c) for c in _rng.SIN)
_C0, _C1, _C2, _C3, _C4, _C5 = (F32(c) for c in _rng.COS)


@intrinsic
def float_of_bits(typingctx, word):
    """The float32 with these 32 bits."""
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))
    return types.float32(types.uint32), codegen


@intrinsic
def bits_of_float(typingctx, value):
    """The 32 bits of a float32."""
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.uint32))
    return types.uint32(types.float32), codegen


@numba.njit(inline="always")
def philox(k0, k1, c0, c1, c2, c3):
    """Ten rounds on uint32 counters and keys; returns four uint32 words.

    numba promotes uint32 arithmetic to 64 bits, so each step is cut back to 32 by hand.
    """
    for _ in range(10):
        pb = _B * U64(c2)
        pa = _A * U64(c0)
        n0 = U32(pb >> U64(32)) ^ c1 ^ k0
        n2 = U32(pa >> U64(32)) ^ c3 ^ k1
        c1 = U32(pb & _M)
        c3 = U32(pa & _M)
        c0 = U32(n0)
        c2 = U32(n2)
        k0 = U32(k0 + _KA)
        k1 = U32(k1 + _KB)
    return c0, c1, c2, c3


@numba.njit(inline="always")
def log(x):
    """Natural logarithm of a normal positive float32, to about 2 ulp, without a library call."""
    b = bits_of_float(F32(x))
    # Split x = m * 2**e with m in [sqrt(1/2), sqrt(2)), so that log m is a short series.
    shifted = U32(b - U32(0x3F3504F3))
    e = F32(np.int32(shifted) >> np.int32(23))
    m = float_of_bits(U32((shifted & U32(0x007FFFFF)) + U32(0x3F3504F3)))
    f = m - F32(1)
    s = f / (F32(2) + f)
    z = s * s
    w = z * (F32(0.66666662693) + z * (F32(0.40000972152) + z * (F32(0.28498786688)
        + z * F32(0.24279078841))))
    half = F32(0.5) * f * f
    return e * F32(0.69313812256) + (f - (half - s * (half + w)) + e * F32(9.0580006145e-06))


@numba.njit(inline="always")
def exp(x):
    """exp(x) for float32, clamped to |x| <= 87, to about 2 ulp, without a library call."""
    x = min(max(x, F32(-87)), F32(87))
    n = np.int32(x * F32(1.4426950408889634) + F32(128.5)) - np.int32(128)  # nearest integer
    nf = F32(n)
    r = (x - nf * F32(0.693359375)) - nf * F32(-2.12194440e-4)
    p = F32(1.9875691500e-4)
    p = p * r + F32(1.3981999507e-3)
    p = p * r + F32(8.3334519073e-3)
    p = p * r + F32(4.1665795894e-2)
    p = p * r + F32(1.6666665459e-1)
    p = p * r + F32(5.0000001201e-1)
    p = p * r * r + r + F32(1)
    return p * float_of_bits(U32(U32(n + np.int32(127)) << U32(23)))


@numba.njit(inline="always")
def normal_pair(word_a, word_b):
    """Two float32 normals from two words; same map as `_rng.normal_pair`."""
    u = F32(np.int32(word_a >> U32(8))) * F32(2.0**-24) + F32(2.0**-25)
    radius = np.sqrt(F32(-2) * log(u))
    g = F32(np.int32(word_b & U32(0x3FFFFFFF))) * F32(2.0**-30) - F32(0.5)
    g2 = g * g
    sin = g * (_S0 + g2 * (_S1 + g2 * (_S2 + g2 * (_S3 + g2 * _S4))))
    cos = _C0 + g2 * (_C1 + g2 * (_C2 + g2 * (_C3 + g2 * (_C4 + g2 * _C5))))
    quadrant = word_b >> U32(30)
    odd = (quadrant & U32(1)) == U32(1)
    x = sin if odd else cos
    y = cos if odd else sin
    x = -x if (quadrant == U32(1)) | (quadrant == U32(2)) else x
    y = -y if quadrant >= U32(2) else y
    return radius * x, radius * y
