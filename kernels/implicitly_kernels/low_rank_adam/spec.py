"""What a step and a realignment cost, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer
from implicitly_kernels.low_rank_adam._tile import LIFT, realign_tile, tile

TITLE = "Low-rank Adam"
SHOWN = "_low_rank_adam_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "One step of Adam that knows r directions of each matrix: it projects the gradient, updates the two moments of r "
    "rows, lifts the step and applies it. A second call re-expresses the moments in new directions in one pass."
)
COUNT = (
    "A step on a matrix of m x n, m at most n, takes 2mnr operations to project and 2mnr to lift, and some 15rn in "
    "between. It reads the gradient and reads and writes the weight, 12mn bytes, and the two moments, 16rn; the "
    "directions, 4mr, are read twice, and the update, 4rn, is written and read. That makes r/3 operations a byte, less "
    "where the moments count: bytes bind for small r, on one CPU core up to some 16 and on a GPU up to some 40. A "
    "realignment takes 4r²n operations for 16rn bytes. The count is of float32."
)
CHAPTERS = ("low-rank-gradients",)
BINDS = "bytes"
NO_NUMBA = (
    "What lies between the two products is little of a step: where a table has a row for the products alone, it "
    "shows all that fusing could save. The products are the BLAS's, the second straight into the weight; no compiled "
    "loop was found that beats them by a fifth at each of these ranks."
)
_CASE = {"call": "step", "m": 1024, "n": 4096, "r": 8, "dtype": "float32"}
CASES = {
    "step, 1024 x 4096, rank 8": _CASE,
    "step, 1024 x 4096, rank 32": {**_CASE, "r": 32},
    "step, 1024 x 4096, rank 128": {**_CASE, "r": 128},
    "realignment, n = 4096, rank 128": {**_CASE, "call": "realign", "r": 128},
}
TARGET_GPU = "at most 1.5 times the floor in bytes for a step on 4096 x 4096 at rank 32, 2 times at rank 128."
_LARGE = {**_CASE, "m": 4096, "n": 4096}
GPU_CASES = {
    "step, 4096 x 4096, rank 8": _LARGE,
    "step, 4096 x 4096, rank 32": {**_LARGE, "r": 32},
    "step, 4096 x 4096, rank 128": {**_LARGE, "r": 128},
    "step, 4096 x 11008, rank 128": {**_LARGE, "n": 11008, "r": 128},
    "realignment, n = 11008, rank 128": {**_LARGE, "call": "realign", "n": 11008, "r": 128},
}


def cost(case: dict) -> dict:
    """bytes and operations of one call."""
    m, n, r = case["m"], case["n"], case["r"]
    if case["call"] == "realign":
        return {"bytes": 4 * (4 * r * n + r * r), "flops": 4 * r * r * n + r * r}
    return {"bytes": 4 * (3 * m * n + 6 * r * n + 2 * m * r + r), "flops": 4 * m * n * r + 15 * r * n}


def _kernel(name, function, args, constants, warps, **more):
    return KernelSpec(name, f"implicitly_kernels.low_rank_adam._triton:_low_rank_{function}_kernel", args, constants,
                      warps=warps, **more)  # fmt: skip


F = Pointer("fp32")


def _step(name, r, tall=False):
    R, M, N, warps = tile(r)
    args = (*[F] * 6, 1024, 4096, r, 4096 // N, 0.9, 0.1, 0.999, 0.001, 0.5, 0.05, 1e-8)
    return _kernel(name, "adam", args, {"TALL": tall, "R": R, "M": M, "N": N}, warps)


def _lift(name, r, tall=False):
    M, N, K, warps = LIFT
    args = (*[F] * 3, 1024, 4096, r, 1024 // M, 4096 // N, 0.01, 0.99)
    return _kernel(name, "lift", args, {"TALL": tall, "M": M, "N": N, "K": K}, warps, streams=True)


def _realign(name, s, r):
    S, K, N, warps = realign_tile(s)
    return _kernel(name, "realign", (*[F] * 5, s, r, 4096, 4096 // N), {"S": S, "K": K, "N": N}, warps)


KERNELS = [
    _step("low_rank_adam_8", 8),
    _step("low_rank_adam_8_tall", 8, tall=True),
    _step("low_rank_adam_32", 32),
    _step("low_rank_adam_64", 64),
    _step("low_rank_adam_128", 128),
    _step("low_rank_adam_128_tall", 128, tall=True),
    _lift("low_rank_adam_lift", 32),
    _lift("low_rank_adam_lift_tall", 32, tall=True),
    _realign("low_rank_adam_realign_8", 8, 8),
    _realign("low_rank_adam_realign_128", 128, 128),
]
