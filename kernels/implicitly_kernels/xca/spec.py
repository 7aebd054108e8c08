"""What a call costs, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer
from implicitly_kernels.xca._tile import tile

TITLE = "Cross-covariance attention"
SHOWN = "_xca_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Attention between the channels of each head instead of between its tokens: linear in the number of tokens, and "
    "unchanged when all tokens are shifted by a fraction of a pixel. One call for all heads."
)
COUNT = (
    "N tokens of d channels take 4Nd^2 operations, half for the products of queries and keys and half for the "
    "result, and 4Nd for the norms; the softmax of d^2 numbers is not counted. Three arrays are read and one is "
    "written, 16Nd bytes in float32: d/4 operations a byte, so that on a GPU bytes bind up to d = 64. No array has N^2 "
    "numbers. Attention between tokens, which the tables show for contrast, takes 4N^2 d operations: N/d times as "
    "many. A gradient takes 12Nd^2 operations more. An operation in float64 takes the place of two in float32 and is "
    "counted as two."
)
CHAPTERS = ("alias-free-vit",)
BINDS = "bytes"
_CASE = {"B": 48, "H": 4, "N": 64, "d": 6, "gradient": False, "dtype": "float32"}
CASES = {
    "48 x 4 heads, N = 16, d = 6, float32": {**_CASE, "N": 16},
    "48 x 4 heads, N = 64, d = 6, float32": _CASE,
    "48 x 4 heads, N = 64, d = 6 with gradient, float32": {**_CASE, "gradient": True},
    "48 x 4 heads, N = 64, d = 6, float64": {**_CASE, "dtype": "float64"},
    "8 x 4 heads, N = 1024, d = 32, float32": {**_CASE, "B": 8, "N": 1024, "d": 32},
    "16 x 8 heads, N = 196, d = 48, float32": {**_CASE, "B": 16, "H": 8, "N": 196, "d": 48},
}
TARGET_CPU = {
    "48 x 4 heads, N = 16, d = 6, float32": 1.5,
    "48 x 4 heads, N = 64, d = 6, float32": 1.5,
    "48 x 4 heads, N = 64, d = 6 with gradient, float32": 1.3,
    "48 x 4 heads, N = 64, d = 6, float64": 1.5,
    "8 x 4 heads, N = 1024, d = 32, float32": 1.3,
    "16 x 8 heads, N = 196, d = 48, float32": 1,
}
WHY_NOT = {
    "16 x 8 heads, N = 196, d = 48, float32":
        "Vectors take channels by 32, so that 48 of them cost as much as 64; torch's batched products do not.",
}  # fmt: skip
TARGET_GPU = "at least half of the measured copy bandwidth, at N = 1024 and d = 32."
_MANY = {**_CASE, "B": 512, "H": 8}
GPU_CASES = {
    "512 x 8 heads, N = 196, d = 48, float32": {**_MANY, "N": 196, "d": 48},
    "512 x 8 heads, N = 1024, d = 32, float32": {**_MANY, "N": 1024, "d": 32},
    "512 x 8 heads, N = 1024, d = 32 with gradient, float32": {**_MANY, "N": 1024, "d": 32, "gradient": True},
    "64 x 8 heads, N = 4096, d = 32, float32": {**_MANY, "B": 64, "N": 4096, "d": 32},
}


def cost(case: dict) -> dict:
    """bytes and float32-equivalent operations of one call, with its gradient where the case has one."""
    N, d = case["N"], case["d"]
    double = 2 if case["dtype"] == "float64" else 1
    flops, arrays = 4 * N * d * d + 4 * N * d, 4
    if case["gradient"]:  # reads four arrays and writes three
        flops, arrays = flops + 12 * N * d * d + 8 * N * d, 11
    heads = double * case["B"] * case["H"]
    return {"bytes": 4 * heads * arrays * N * d, "flops": heads * flops}


def _kernel(name, d, backward=False):
    T, D, warps = tile(d, backward)
    f = Pointer("fp32")
    pointers, function = (9, "_xca_backward_kernel") if backward else (5, "_xca_kernel")
    return KernelSpec(name, f"implicitly_kernels.xca._triton:{function}", (*[f] * pointers, 8, 1024, d),
                      {"T": T, "D": D}, warps=warps)  # fmt: skip


KERNELS = [
    _kernel("xca", 32),
    _kernel("xca_8", 8),
    _kernel("xca_48", 48),
    _kernel("xca_back", 32, backward=True),
    _kernel("xca_back_48", 48, backward=True),
]
