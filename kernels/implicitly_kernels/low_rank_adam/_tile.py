"""The tiles of one Triton program, without Triton: the kernels and what describes them share them."""

MOST = 128  # directions
LIFT = 32, 64, 16, 4  # rows and columns of a tile of the weight, directions of a step, warps


def tile(r):
    """(padded r, rows of a step, columns of a program, warps): at most 16 numbers of a moment a thread."""
    R = max(16, 1 << (r - 1).bit_length())  # as the products of tiles take them
    return R, 16, 32, 4 if R <= 64 else 8


def realign_tile(s):
    """(padded s, directions of a step, columns of a program, warps): of two moments at a time."""
    S, K, N, warps = tile(s)
    return S, K, N // 2, warps
