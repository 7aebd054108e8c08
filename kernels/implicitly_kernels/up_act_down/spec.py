"""What a call costs, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer
from implicitly_kernels.up_act_down._tile import tile

TITLE = "Up, activate, down"
SHOWN = "_up_act_down_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Resamples periodic maps to a finer grid, applies an activation there and resamples back, in one call: a "
    "polynomial then commutes with shifts by fractions of a pixel, exactly, which is why products stay in float32."
)
COUNT = (
    "At factor 2 a map of n x n takes 24n^3 operations, 12 to the fine grid and 12 back, and 4n^2 activations, which "
    "we count as 4 operations for a polynomial of degree 2 and as 20 for GELU. It reads and writes 4n^2 bytes each; "
    "with the fine grid in memory it would be 72n^2. That makes 3n operations a byte: arithmetic binds from n = 8 on. "
    "A gradient computes the fine grid once more and takes 1.5 times as much again. An operation in float64 takes the "
    "place of two in float32 and is counted as two."
)
CHAPTERS = ("alias-free-vit",)
BINDS = "flop"
_CASE = {"maps": 1152, "n": 16, "fine": 32, "size": 16, "activation": "poly", "gradient": False, "dtype": "float32"}
CASES = {
    "18432 maps of 4 x 4, factor 2, poly, float32": {**_CASE, "maps": 18432, "n": 4, "fine": 8, "size": 4},
    "4608 maps of 8 x 8, factor 2, poly, float32": {**_CASE, "maps": 4608, "n": 8, "fine": 16, "size": 8},
    "1152 maps of 16 x 16, factor 2, poly, float32": _CASE,
    "1152 maps of 16 x 16, factor 2, poly with gradient, float32": {**_CASE, "gradient": True},
    "1152 maps of 16 x 16, factor 2, gelu, float32": {**_CASE, "activation": "gelu"},
    "1152 maps of 16 x 16, factor 2, poly, float64": {**_CASE, "dtype": "float64"},
    "288 maps of 32 x 32, factor 2, poly, float32": {**_CASE, "maps": 288, "n": 32, "fine": 64, "size": 32},
}
TARGET_CPU = {
    "18432 maps of 4 x 4, factor 2, poly, float32": 4,
    "4608 maps of 8 x 8, factor 2, poly, float32": 2,
    "1152 maps of 16 x 16, factor 2, poly, float32": 1.5,
    "1152 maps of 16 x 16, factor 2, poly with gradient, float32": 1.5,
    "1152 maps of 16 x 16, factor 2, gelu, float32": 1.2,
    "1152 maps of 16 x 16, factor 2, poly, float64": 2,
}
_BINDS = "Arithmetic binds, and torch's batched products come nearer to the CPU's rate than our loops."
WHY_NOT = {
    "1152 maps of 16 x 16, factor 2, poly, float32": _BINDS,
    "1152 maps of 16 x 16, factor 2, poly with gradient, float32": _BINDS,
    "1152 maps of 16 x 16, factor 2, gelu, float32":
        "Torch's products are at their best from here on, and our erf costs as much as its own.",
}  # fmt: skip
TARGET_GPU = "at most 4 times the floor, at 16 x 16 and 32 x 32."
_MANY = {**_CASE, "maps": 262144}
GPU_CASES = {
    "262144 maps of 16 x 16, factor 2, poly, float32": _MANY,
    "262144 maps of 16 x 16, factor 2, poly with gradient, float32": {**_MANY, "gradient": True},
    "262144 maps of 16 x 16, factor 2, gelu, float32": {**_MANY, "activation": "gelu"},
    "65536 maps of 32 x 32, factor 2, gelu, float32":
        {**_MANY, "maps": 65536, "n": 32, "fine": 64, "size": 32, "activation": "gelu"},
    "65536 maps of 32 x 32 to 16 x 16, factor 2, poly, float32":
        {**_MANY, "maps": 65536, "n": 32, "fine": 64, "size": 16},
}  # fmt: skip


def cost(case: dict) -> dict:
    """bytes and float32-equivalent operations of one call, with its gradient where the case has one."""
    n, m, s = case["n"], case["fine"], case["size"]
    double = 2 if case["dtype"] == "float64" else 1
    up, down = 2 * m * n * (n + m), 2 * s * m * (m + s)
    point = {"poly": 4, "gelu": 20}[case["activation"]] * m * m
    flops, moved = up + down + point, n * n + s * s
    if case["gradient"]:
        flops, moved = flops + 2 * up + down + 2 * point, 3 * n * n + 2 * s * s
    return {"bytes": 4 * double * case["maps"] * moved, "flops": double * case["maps"] * flops}


def _kernel(name, n, fine, size, kind, backward=False):
    G, N, M, S, warps = tile(n, fine, size, backward)
    f = Pointer("fp32")
    pointers, function = (8, "_up_act_down_backward_kernel") if backward else (5, "_up_act_down_kernel")
    return KernelSpec(
        name, f"implicitly_kernels.up_act_down._triton:{function}", (*[f] * pointers, 1152, n, size, 24),
        {"KIND": kind, "G": G, "N": N, "M": M, "S": S}, warps=warps,
    )  # fmt: skip


# Every activation, the smallest and the largest fine grid, both directions.
KERNELS = [
    _kernel("up_act_down", 16, 32, 16, 1),
    _kernel("up_act_down_4", 4, 8, 4, 3),
    _kernel("up_act_down_32", 32, 64, 32, 2),
    _kernel("up_act_down_32_to_16", 32, 64, 16, 0),
    _kernel("up_act_down_back", 16, 32, 16, 1, backward=True),
    _kernel("up_act_down_back_32", 32, 64, 32, 2, backward=True),
]
