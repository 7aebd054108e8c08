"""What a product costs, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer

TITLE = "Products with a narrow accumulator"
SHOWN = "_lba_gemm_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Multiplies matrices as a machine would whose adder keeps a few bits: each product and each sum is cut to a short "
    "float, chunk by chunk, bit for bit the same on every backend; with gradients that know of it."
)
COUNT = (
    "A product costs a multiplication and an addition, and twice a cut of the bits, two comparisons with the largest "
    "magnitude, and one with the smallest, which takes three operations: 14 operations in float32. Where no product "
    "can reach the largest magnitude, the compiled CPU path leaves two of them out. Matrix units cannot be used, since "
    "every sum is rounded on its own. Numbers with more than 12 significant bits, and formats wider than float32 can "
    "hold exactly, are computed in float64, at half the speed or less."
)
CHAPTERS = ("low-bit-accumulators",)
BINDS = "flop"
_M7E4 = {"mantissa": 7, "exponent": 4, "bias_product": 12, "bias_sum": 10, "chunk": 16}
CASES = {
    "m = n = K = 256": {"m": 256, "n": 256, "K": 256, **_M7E4},
    "m = 64, n = 1024, K = 64": {"m": 64, "n": 1024, "K": 64, **_M7E4},
    "m = n = 64, K = 1024": {"m": 64, "n": 64, "K": 1024, **_M7E4},
}
TARGET_CPU = {"m = n = K = 256": 20, "m = 64, n = 1024, K = 64": 28, "m = n = 64, K = 1024": 60}
_SET = (
    "The target was set on a machine where eager torch took 1.4 and 1.8 times as long. The compiled "
    "path comes as near to its floor as at 256, but for a quarter."
)
WHY_NOT = {"m = 64, n = 1024, K = 64": _SET, "m = n = 64, K = 1024": _SET}
TARGET_GPU = "at most 2.5 times 14 operations a product at the rate of float32 additions, at 4096 x 4096 x 4096."
GPU_CASES = {  # the small ones do not fill a large GPU
    **{name: {**case, "latency": True} for name, case in CASES.items()},
    "m = n = K = 4096": {"m": 4096, "n": 4096, "K": 4096, **_M7E4},
}


def cost(case: dict) -> dict:
    """bytes and operations of one product of matrices."""
    m, n, K = (case[v] for v in ("m", "n", "K"))
    return {"bytes": 4 * (m * K + n * K + m * n), "flops": 14 * m * n * K}


TILE, SMALL = 64, 32  # as in _triton, which this file does not import: it needs Triton
_SIZES = (256, 256, 256, 16)


def _kernel(name, *, bits=7, near=False, odd=False, double=False):
    f, tile = Pointer("fp64" if double else "fp32"), SMALL if double else TILE
    return KernelSpec(
        name, "implicitly_kernels.lba_gemm._triton:_lba_gemm_kernel", (f, f, f, Pointer("fp32"), *_SIZES),
        {"DROP": (52 if double else 23) - bits, "NEAR": near, "ODD": odd, "DOUBLE": double, "BM": tile, "BN": tile},
        warps=8, exact=True,
    )  # fmt: skip


def _other(name, kernel, pointers, odd, **flags):
    f = Pointer("fp64")
    return KernelSpec(
        name, f"implicitly_kernels.lba_gemm._triton:{kernel}",
        (*(f for _ in range(pointers - 1)), *_LAST[kernel], *_SIZES),
        {"DROP": 45, "NEAR": False, "ODD": odd, "BM": SMALL, "BN": SMALL} | flags, warps=8, exact=True,
    )  # fmt: skip


_LAST = {"_lba_events_kernel": (Pointer("fp32"), Pointer("i64")), "_lba_backward_kernel": (Pointer("fp64"),)}

# Every kind of floats, both roundings, counts, and each rule for gradients.
KERNELS = [
    _kernel("lba_gemm"),
    _kernel("lba_gemm_near", near=True),
    _kernel("lba_gemm_double", double=True),
    _kernel("lba_gemm_odd", double=True, odd=True),
    _kernel("lba_gemm_odd_near", double=True, odd=True, near=True),
    _other("lba_gemm_events", "_lba_events_kernel", 4, False),
    _other("lba_gemm_events_odd", "_lba_events_kernel", 4, True),
    _other("lba_gemm_backward_immediate", "_lba_backward_kernel", 5, False, RULE=0),
    _other("lba_gemm_backward_recursive", "_lba_backward_kernel", 5, True, RULE=1),
    _other("lba_gemm_backward_change", "_lba_backward_kernel", 5, False, RULE=2),
]
