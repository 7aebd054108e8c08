"""Box-Muller for Triton on the words of `tl.philox`, which is the same Philox as `_rng.philox`.

Address it as tl.philox(seed, element low, element high, step, draw) with uint32 counters.
"""

import triton
import triton.language as tl

from implicitly_kernels import _rng

_S0, _S1, _S2, _S3, _S4 = (tl.constexpr(c) for c in _rng.SIN)
_C0, _C1, _C2, _C3, _C4, _C5 = (tl.constexpr(c) for c in _rng.COS)


@triton.jit
def normal_pair(word_a, word_b):
    """Two float32 normals from two uint32 words; same map as `_rng.normal_pair`."""
    u = (word_a >> 8).to(tl.float32) * 5.9604644775390625e-08 + 2.98023223876953125e-08
    radius = tl.sqrt(-2.0 * tl.log(u))
    g = (word_b & 0x3FFFFFFF).to(tl.float32) * 9.31322574615478515625e-10 - 0.5
    g2 = g * g
    sin = g * (_S0 + g2 * (_S1 + g2 * (_S2 + g2 * (_S3 + g2 * _S4))))
    cos = _C0 + g2 * (_C1 + g2 * (_C2 + g2 * (_C3 + g2 * (_C4 + g2 * _C5))))
    quadrant = word_b >> 30
    odd = (quadrant & 1) == 1
    x = tl.where(odd, sin, cos)
    y = tl.where(odd, cos, sin)
    x = tl.where((quadrant == 1) | (quadrant == 2), -x, x)
    y = tl.where(quadrant >= 2, -y, y)
    return radius * x, radius * y
