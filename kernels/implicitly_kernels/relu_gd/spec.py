"""What a run costs, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer

TITLE = "Gradient descent of tiny networks"
SHOWN = "_relu_gd_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Trains many tiny two-layer ReLU networks of one variable by full-batch gradient descent, each with "
    "its own data and step size: all steps of all networks in one call."
)
COUNT = (
    "A step costs 10kn operations a network: 5 forward for each neuron and sample (pre-activation, ReLU, weighted sum) "
    "and 5 backward, because the gradients of a neuron need only two sums over the samples where it is on: the "
    "pre-activation again, its sign, and these sums (signs that were kept would have to be written and read). "
    "Parameters and data stay in registers or cache for the whole run, so arithmetic binds. The ceiling is measured in "
    "float32; an operation in float64 takes the place of two and is counted as two. It is one of multiply-adds, which "
    "are two operations; of the 7 instructions here only 3 are, so where each takes a multiply-add's place, at most "
    "0.71 of it is in reach, and less where whole vectors are not filled: in float32, 48 x 104 places forward and 40 x "
    "112 backward for 40 x 100."
)
CHAPTERS = ("stable-minima",)
BINDS = "flop"
TARGET_CPU = {
    "64 networks, k = 100, n = 40, 1000 steps, float64": 5,
    "64 networks, k = 100, n = 40, 1000 steps, float32": 5,
}
TARGET_GPU = "at most 3 times the floor."

_CASE = {"nets": 64, "k": 100, "n": 40, "steps": 1000}
CASES = {
    "64 networks, k = 100, n = 40, 1000 steps, float64": {**_CASE, "dtype": "float64"},
    "64 networks, k = 100, n = 40, 1000 steps, float32": {**_CASE, "dtype": "float32"},
}
GPU_CASES = {  # 64 networks leave most of a large GPU idle
    "64 networks, k = 100, n = 40, 1000 steps, float32": {**_CASE, "dtype": "float32", "latency": True},
    **{f"{nets} networks, k = 100, n = 40, 1000 steps, float32": {**_CASE, "nets": nets, "dtype": "float32"}
       for nets in (1024, 16384, 65536)},
}


def cost(case: dict) -> dict:
    """bytes and float32-equivalent operations of one run."""
    b, k, n, t = case["nets"], case["k"], case["n"], case["steps"]
    double = 2 if case["dtype"] == "float64" else 1
    return {"bytes": 4 * double * b * (6 * k + 2 * n + 4), "flops": double * 10 * b * k * n * t}


def _kernel(name, k, samples, width):
    f = Pointer("fp32")
    return KernelSpec(
        name, "implicitly_kernels.relu_gd._triton:_relu_gd_kernel",
        (*[f] * 12, k, 40, 100_000), {"S": samples, "K": width}, warps=1,
    )


KERNELS = [
    _kernel("relu_gd", 100, 4, 128),
    _kernel("relu_gd_32_neurons", 32, 16, 32),
    _kernel("relu_gd_64_neurons", 64, 8, 64),
    _kernel("relu_gd_256_neurons", 256, 4, 256),
]
