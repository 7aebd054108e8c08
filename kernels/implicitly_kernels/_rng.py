"""Counter-based random bits: Philox4x32-10, addressed by (seed, element, step, draw).

The same address gives the same 128 bits in every backend, whatever the block size, the number of
programs or the order in which they run. The key is the 64-bit seed, the counter is
(element low, element high, step, draw). Source: Salmon, Moraes, Dror, Shaw, "Parallel random
numbers: as easy as 1, 2, 3", SC 2011.

This file holds the torch version; `_rng_numba` and `_rng_triton` hold the other two.
"""

import torch

ROUND_A, ROUND_B = 0xD2511F53, 0xCD9E8D57
KEY_A, KEY_B = 0x9E3779B9, 0xBB67AE85
MASK = 0xFFFFFFFF
TO_UNIT = 2.0**-24


def _mul(a: int, b: torch.Tensor):
    """High and low 32 bits of a*b; torch has no unsigned 64-bit product, so split `a` in halves."""
    low = (a & 0xFFFF) * b  # below 2**48
    high = (a >> 16) * b + (low >> 16)  # below 2**49
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def philox(seed: int, element, step, draw):
    """Four int64 tensors of words in [0, 2**32), of the broadcast shape of the addresses.

    seed: int in [0, 2**63). element: int64 tensor below 2**63. step, draw: int64 tensors or ints
    below 2**32.
    """
    element = torch.as_tensor(element, dtype=torch.int64)
    device = element.device
    step = torch.as_tensor(step, dtype=torch.int64, device=device)
    draw = torch.as_tensor(draw, dtype=torch.int64, device=device)
    c0, c1, c2, c3 = torch.broadcast_tensors(element & MASK, element >> 32, step, draw)
    k0, k1 = seed & MASK, seed >> 32
    for _ in range(10):
        high_b, low_b = _mul(ROUND_B, c2)
        high_a, low_a = _mul(ROUND_A, c0)
        c0, c1, c2, c3 = high_b ^ c1 ^ k0, low_b, high_a ^ c3 ^ k1, low_a
        k0, k1 = (k0 + KEY_A) & MASK, (k1 + KEY_B) & MASK
    return c0, c1, c2, c3


def unit(word, dtype=torch.float32):
    """Uniform in [0, 1): the top 24 bits of the word, exact in float32."""
    return (word >> 8).to(dtype) * TO_UNIT


# sin and cos of (pi/2) g for |g| <= 1/2, as g*P(g*g) and P(g*g): Taylor to float32's last bit, so
# that no backend pays for range reduction: the angle is already counted in quarter turns.
SIN = (1.5707963267948966, -0.6459640975062462, 0.07969262624616703, -0.004681754135318687,
       0.00016044118478735982)
COS = (1.0, -1.2337005501361697, 0.25366950790104797, -0.020863480763352958,
       0.0009192602748394262, -2.5202042373060596e-05)


def normal_pair(word_a, word_b, dtype=torch.float32):
    """Two independent standard normals from two words (Box-Muller). Shapes follow the words.

    The radius takes its uniform in (0, 1) from the top 24 bits of `word_a`. The angle's quadrant
    is the top two bits of `word_b`, its place in the quadrant the other thirty. Both are rounded to
    float32 first, whatever the dtype, so that a float64 run sees the numbers of a float32 one.
    """
    u = ((word_a >> 8).float() * TO_UNIT + 0.5 * TO_UNIT).to(dtype)
    radius = torch.sqrt(-2.0 * torch.log(u))
    g = ((word_b & 0x3FFFFFFF).float() * 2.0**-30 - 0.5).to(dtype)
    g2 = g * g
    sin = torch.full_like(g, SIN[4])
    for c in SIN[3::-1]:
        sin = sin * g2 + c
    sin = sin * g
    cos = torch.full_like(g, COS[5])
    for c in COS[4::-1]:
        cos = cos * g2 + c
    quadrant = word_b >> 30
    odd = (quadrant & 1) == 1
    x = torch.where(odd, sin, cos)
    y = torch.where(odd, cos, sin)
    x = torch.where((quadrant == 1) | (quadrant == 2), -x, x)
    y = torch.where(quadrant >= 2, -y, y)
    return radius * x, radius * y
