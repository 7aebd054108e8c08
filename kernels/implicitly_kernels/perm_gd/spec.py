"""What a descent costs, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer
from implicitly_kernels.perm_gd._tile import tile

TITLE = "Multiclass gradient descent"
SHOWN = "_perm_gd_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Gradient descent on many small linear multiclass problems at once, under cross-entropy or another "
    "loss of relative margins, at a fixed or a normalized step: all steps of all problems in one call, "
    "right at log times of thousands."
)
COUNT = (
    "A step costs 4Kd operations a sample (scores and gradient), K exponentials, a division, two multiply-adds for the "
    "risk (under cross-entropy the logarithm of a product, one logarithm a step) and about 10 operations a class. The "
    "largest of the K exponentials is 1, but it is another in each lane of a vector. An exponential is counted as the "
    "36 operations that float64 takes without a library, a division as 16: one took the place of nine multiply-adds, "
    "18 operations, on the CPU where it was timed. Float64 operations are counted twice, because the ceiling is one of "
    "float32 and a vector holds half as many. A problem stays in cache or registers for the whole run, so no bytes "
    "bind; but its steps follow each other, so a small problem also waits. On that CPU a step with d = 5 and K = 3 "
    "took 0.12 µs besides 4.6 ns a sample, half of its time with N = 30: sums across the lanes of a vector for each of "
    "the Kd weights, the one logarithm, the starts of loops. And of the 78 vector instructions that the compiler makes "
    "of two vectors' exponentials 44 calculate; the rest moves numbers between registers, of which there are too few."
)
CHAPTERS = ("implicit-bias-multiclass",)
BINDS = "flop"
TARGET_CPU = {"256 problems, N = 30, d = 5, K = 3, 1000 steps": 4,
              "256 problems, N = 100, d = 10, K = 3, 1000 steps": 4}
TARGET_GPU = "at most 20 times the floor for 65,536 problems; 256 problems underfill a large GPU."

CASES = {
    "256 problems, N = 30, d = 5, K = 3, 1000 steps":
        {"problems": 256, "samples": 30, "d": 5, "classes": 3, "steps": 1000, "dtype": "float64"},
    "256 problems, N = 100, d = 10, K = 3, 1000 steps":
        {"problems": 256, "samples": 100, "d": 10, "classes": 3, "steps": 1000, "dtype": "float64"},
}
GPU_CASES = {
    # 256 problems leave most of a large GPU idle, so that the latency of a step binds
    **{name: {**case, "latency": True} for name, case in CASES.items()},
    "65536 problems, N = 30, d = 5, K = 3, 1000 steps":
        {"problems": 65536, "samples": 30, "d": 5, "classes": 3, "steps": 1000, "dtype": "float64"},
    "16384 problems, N = 100, d = 10, K = 3, 1000 steps":
        {"problems": 16384, "samples": 100, "d": 10, "classes": 3, "steps": 1000, "dtype": "float64"},
    "65536 problems, N = 30, d = 5, K = 3, 1000 steps, float32":
        {"problems": 65536, "samples": 30, "d": 5, "classes": 3, "steps": 1000, "dtype": "float32"},
}


def cost(case: dict) -> dict:
    """bytes and float32-equivalent operations of one run under cross-entropy with normalized steps."""
    b, n, d, k, t = (case[v] for v in ("problems", "samples", "d", "classes", "steps"))
    # in float32 an exp is 12 operations and a division 3, as in Langevin chains
    width, places, exp, division = (8, 2, 36, 16) if case["dtype"] == "float64" else (4, 1, 12, 3)
    step = n * (4 * k * d + exp * k + division + 4 + 10 * k) + 2 * k * d
    return {"bytes": b * (8 * n + width * (n * d + 2 * k * d)), "flops": places * b * t * step}


def _kernel(name, dtype, samples, classes, d, loss, normalized, terms):
    n, k, f, warps = tile(samples, classes, d)
    v, t = Pointer(dtype), Pointer("fp64")
    return KernelSpec(
        name, "implicitly_kernels.perm_gd._triton:_perm_gd_kernel",
        (v, v, Pointer("i64"), t, t, v, t, t, samples, classes, d, 1000),
        {"LOSS": loss, "NORMALIZED": normalized, "TERMS": terms, "N": n, "K": k, "D": f}, warps=warps,
    )


# Every loss, both kinds of step, both dtypes, the largest tile. At some other sizes the compiler stops at
# a round number of registers and keeps up to 32 bytes of a thread on the stack.
KERNELS = [
    _kernel("perm_gd_cross_entropy", "fp64", 30, 3, 5, 0, True, 11),
    _kernel("perm_gd_cross_entropy_100_10", "fp64", 100, 3, 10, 0, True, 11),
    _kernel("perm_gd_cross_entropy_float32", "fp32", 30, 3, 5, 0, True, 5),
    _kernel("perm_gd_exponential_fixed_step", "fp64", 30, 3, 5, 1, False, 11),
    _kernel("perm_gd_cross_entropy_64_8", "fp64", 64, 8, 8, 0, True, 11),
    _kernel("perm_gd_pairlog_largest", "fp64", 128, 8, 32, 2, True, 11),
    _kernel("perm_gd_polynomial", "fp64", 30, 3, 5, 3, True, 11),
]
