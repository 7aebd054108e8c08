"""The tile of one Triton program, without Triton: the kernels and what describes them share it."""

MOST, FINE = 32, 64  # points a side of a map, and of the fine grid


def tile(n, fine, size, backward=False):
    """(maps of one program, n, fine and size padded, warps): a product sums over at least 16 numbers."""
    N, M, S = (max(16, 1 << (v - 1).bit_length()) for v in (n, fine, size))
    return max(1, 2048 // (M * M)), N, M, S, 16 if M == 64 or backward else 4
