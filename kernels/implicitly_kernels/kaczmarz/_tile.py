"""The tile of one Triton program, without Triton: the kernel and what describes it share it."""

MOST = 2048  # rows x columns of one task, each padded to a power of two


def tile(T, r, d, rule):
    """(tasks scored together, padded r, padded d, rows of the loss together, warps): 4 numbers a thread, or fewer."""
    R, D = (1 << (max(v, 1) - 1).bit_length() for v in (r, d))
    warps = min(16, max(1, R * D // 128))
    if not rule:
        return 1, R, D, max(1, 128 * warps // D), warps
    warps = max(4, warps)
    M = max(1, min(128 * warps // (R * D), 1 << (T - 1).bit_length()))
    return M, R, D, max(1, 128 * warps // D), warps
