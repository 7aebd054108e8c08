"""What this device can do at most, measured in the same run as the kernels: no datasheet numbers.

copy: bytes read and written a second by a large copy. flop: float32 multiply-adds a second, times two; on a CPU the
faster of our own loop and torch's product, since compilers shun the widest vectors of some. int: 32-bit integer
operations a second. gemm: float32 operations a second of torch's product. launch: seconds an empty call takes.
"""

import time

import numpy as np
import torch


def _best(fn, repeats=5):
    fn()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        fn()
        times.append(time.process_time() - start)
    return min(times)


def cpu():
    """{"copy": B/s, "flop": op/s, "int": op/s, "gemm": op/s, "launch": s} of one core."""
    import numba

    @numba.njit(fastmath={"contract"})
    def multiply_add(x, m, c, rounds):
        for _ in range(rounds):
            for l in range(x.size):
                # Eight chains at once: one alone would wait for its own result four cycles long.
                p, v = x[l], x[l] + c
                q, r, s, t, u, w = p + v, p - v, v + v, p + p, v - p, p + c
                for _ in range(8):
                    p, q, r, s = p * m + c, q * m + c, r * m + c, s * m + c
                    t, u, v, w = t * m + c, u * m + c, v * m + c, w * m + c
                x[l] = p + q + r + s + t + u + v + w

    @numba.njit
    def integers(x, rounds):
        add, flip = np.uint32(0x9E3779B9), np.uint32(0x55AA33CC)
        for _ in range(rounds):
            for l in range(x.size):
                p = x[l]
                q, r, s = np.uint32(p + add), np.uint32(p ^ flip), np.uint32(p - add)
                for _ in range(16):  # an add and an exclusive or cannot be folded into one
                    p, q = np.uint32(np.uint32(p + add) ^ flip), np.uint32(np.uint32(q + add) ^ flip)
                    r, s = np.uint32(np.uint32(r + add) ^ flip), np.uint32(np.uint32(s + add) ^ flip)
                x[l] = p ^ q ^ r ^ s

    source = torch.ones(1 << 25)
    target = torch.empty_like(source)
    x = np.zeros(256, np.float32)
    i = np.ones(256, np.uint32)
    a = torch.randn(512, 512)
    rounds = 20_000
    half, tiny = np.float32(0.5), np.float32(1e-3)
    gemm = 2 * 512**3 * 20 / _best(lambda: [a @ a for _ in range(20)])
    return {
        "copy": 8 * source.numel() / _best(lambda: target.copy_(source)),
        "flop": max(gemm, 2 * 8 * 8 * x.size * rounds / _best(lambda: multiply_add(x, half, tiny, rounds))),
        "int": 2 * 16 * 4 * i.size * rounds / _best(lambda: integers(i, rounds)),
        "gemm": gemm,
        "launch": _best(lambda: [torch.neg(a[0, 0]) for _ in range(1000)]) / 1000,
    }


def cuda():
    """The same for the GPU."""
    from gpu_ceilings import integer_kernel, multiply_add_kernel
    from triton.testing import do_bench

    source = torch.randn(1 << 28, device="cuda")  # a constant may be compressed on its way
    target = torch.empty_like(source)
    out = torch.zeros(1 << 20, device="cuda")
    words = torch.zeros(1 << 20, device="cuda", dtype=torch.int32)
    a = torch.randn(8192, 8192, device="cuda")
    rounds, block = 4096, 1024
    grid = (out.numel() // block,)

    def seconds(fn):
        return do_bench(fn, return_mode="median") / 1e3

    def tiny():
        multiply_add_kernel[(1,)](out, 1.0, 1.0, 1, BLOCK=block)

    operations = 2 * 16 * rounds * out.numel()
    result = {
        "copy": 8 * source.numel() / seconds(lambda: target.copy_(source)),
        "flop": operations / seconds(
            lambda: multiply_add_kernel[grid](out, 1.0, 1.0, rounds, BLOCK=block, enable_fp_fusion=True)),
        "int": operations / seconds(lambda: integer_kernel[grid](words, 3, rounds, BLOCK=block)),
        "gemm": 2 * 8192**3 / seconds(lambda: a @ a),
        "launch": seconds(tiny),
    }
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, value in (cuda() if torch.cuda.is_available() else cpu()).items():
        print(f"{name:8}{value:.4g}")
