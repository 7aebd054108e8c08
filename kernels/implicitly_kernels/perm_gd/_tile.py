"""The tile of one Triton program, without Triton: the kernel and what describes it share it."""

MOST = 4096  # samples x (features or four times the classes, the larger), padded to powers of two


def tile(samples, classes, d):
    """(padded samples, classes, features, warps) of one program: at most 8 features a thread."""
    n, k, f = (1 << (max(v, 1) - 1).bit_length() for v in (samples, classes, d))
    return n, k, f, min(16, max(1, n * max(f, 2 * k) // 256))
