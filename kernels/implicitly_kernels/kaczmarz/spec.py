"""What a run costs, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer
from implicitly_kernels.kaczmarz._tile import tile

TITLE = "Block Kaczmarz"
SHOWN = "_kaczmarz_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Learns linear tasks one after the other, in many given orders at once or greedily: each step projects the "
    "error away from one task's rows, wholly or by a filter. All steps of all trajectories in one call."
)
COUNT = (
    "A step costs 4rd operations: r products with the error and r multiples of a row taken from it. Its rows, rd "
    "numbers, come from the cache, which is why it is not arithmetic alone that binds. A greedy step scores all "
    "tasks. We count 2Tr^2 operations for that, the update of all coordinates by the tasks' products, where these "
    "take fewer operations than the 2Trd of scoring afresh. An operation in float64 takes the place of two in "
    "float32 and is counted as two. Bytes are those of arguments and results."
)
CHAPTERS = ("random-orderings", "optimal-regularization", "greedy-orderings")
BINDS = "flop"
_GIVEN = {"B": 1000, "T": 1000, "d": 100, "steps": 1000, "rule": ""}
_GREEDY = {"B": 256, "T": 1000, "d": 100, "steps": 1000, "rule": "distance"}
CASES = {
    "1000 orders, 1000 tasks, d = 100, rank 1, float32": {**_GIVEN, "r": 1, "dtype": "float32"},
    "1000 orders, 1000 tasks, d = 100, rank 10, float64": {**_GIVEN, "r": 10, "dtype": "float64"},
    "256 greedy runs, 1000 tasks, d = 100, rank 1, float64": {**_GREEDY, "r": 1, "dtype": "float64"},
    "256 greedy runs, 100 tasks, d = 100, rank 10, float64":
        {**_GREEDY, "T": 100, "steps": 100, "r": 10, "dtype": "float64"},
    "256 greedy runs, 1000 tasks, d = 100, rank 10, float64": {**_GREEDY, "steps": 100, "r": 10, "dtype": "float64"},
}  # fmt: skip
TARGET_CPU = {
    "1000 orders, 1000 tasks, d = 100, rank 1, float32": 4,
    "1000 orders, 1000 tasks, d = 100, rank 10, float64": 4,
    "256 greedy runs, 1000 tasks, d = 100, rank 1, float64": 4,
    "256 greedy runs, 100 tasks, d = 100, rank 10, float64": 4,
    "256 greedy runs, 1000 tasks, d = 100, rank 10, float64": 4,
}
WHY_NOT = {
    "256 greedy runs, 100 tasks, d = 100, rank 10, float64":
        "Each step reads 80 kB of the tasks' products, which do not fit into the cache: memory binds.",
    "256 greedy runs, 1000 tasks, d = 100, rank 10, float64":
        "The table of products would be 800 MB, so that tasks are scored afresh, by the matrix product that plain "
        "torch runs, too.",
}
TARGET_GPU = "given orders: at most 2.5 times 0.4 us a step, the latency of one dependent step, up to 4000 orders."
GPU_CASES = {  # none of them fills a large GPU: "latency" says that a step's own time binds, not what it computes
    name: {**case, "latency": True}
    for name, case in {
        **CASES,
        "4000 orders, 1000 tasks, d = 100, rank 1, float32": {**_GIVEN, "B": 4000, "r": 1, "dtype": "float32"},
    }.items()
}


def cost(case: dict) -> dict:
    """bytes and float32-equivalent operations of one run."""
    B, T, r, d, k = (case[v] for v in ("B", "T", "r", "d", "steps"))
    double = 2 if case["dtype"] == "float64" else 1
    score = 2 * T * r * min(r, d) if case["rule"] else 0
    return {"bytes": 4 * double * (T * r * (d + 2) + B * (2 * d + k)) + 8 * B * k,
            "flops": double * B * k * (4 * r * d + score)}  # fmt: skip


def _kernel(name, dtype, r, d, rule=False, kind=0, nearest=False, repetition=False):
    M, R, D, N, warps = tile(1000, r, d, rule)
    f, i64, i32 = Pointer(dtype), Pointer("i64"), Pointer("i32")
    return KernelSpec(
        name, "implicitly_kernels.kaczmarz._triton:_kaczmarz_kernel",
        (f, f, f, f, f, f, i64, Pointer("i8"), i32, f, f, f, f, f, 1000, r, d, d + 1, 1000, 3),
        {"KIND": kind, "RULE": rule, "NEAREST": nearest, "REPETITION": repetition,
         "TERMS": 16 if dtype == "fp64" else 8, "M": M, "R": R, "D": D, "N": N}, warps=warps,
    )  # fmt: skip


# Every filter, both dtypes, given and greedy orders, the largest tile in both forms.
KERNELS = [
    _kernel("kaczmarz", "fp32", 1, 100),
    _kernel("kaczmarz_rank_10", "fp64", 10, 100),
    _kernel("kaczmarz_ridge", "fp32", 10, 100, kind=1),
    _kernel("kaczmarz_budget", "fp64", 10, 100, kind=2),
    _kernel("kaczmarz_wide", "fp64", 2, 1000),
    _kernel("kaczmarz_greedy", "fp64", 1, 100, rule=True),
    _kernel("kaczmarz_greedy_rank_10", "fp64", 10, 100, rule=True),
    _kernel("kaczmarz_greedy_float32", "fp32", 10, 100, rule=True, kind=2, nearest=True),
]
