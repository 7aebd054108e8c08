"""The tile of one Triton program, without Triton: the kernels and what describes them share it."""

MOST = 64  # channels of a head


def tile(d, backward=False):
    """(tokens of a step, d padded, warps): a product sums over at least 16 numbers."""
    D = max(16, 1 << (d - 1).bit_length())
    if backward:
        return 16, D, 8 if D <= 32 else 16
    return 32, D, min(16, max(4, D * D // 128))
