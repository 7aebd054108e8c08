"""What a chain costs, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer

TITLE = "Langevin chains"
SHOWN = "_net_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Runs thousands of Langevin chains for thousands of steps in one call, on a small tanh network or a "
    "polynomial potential, with a Gaussian prior or a reflecting box, with or without a Metropolis "
    "correction."
)
COUNT = (
    "A chain of the 4-10-1 network (50 parameters, 32 samples) costs about 400 operations a sample (160 "
    "for the products with the inputs, forward and backward; 23 for each of ten neurons, 17 of them its "
    "hyperbolic tangent; 16 for the sigmoid) and 53 a parameter (25 for a quarter of a Philox call, 22 for "
    "half of a Box-Muller pair, 6 for the update): about 15,600 operations a step. The state stays in "
    "registers or cache, so arithmetic binds."
)
CHAPTERS = ("langevin-generalization",)
BINDS = "flop"
TARGET_CPU = {"4096 chains, 4-10-1, 1000 steps": 5}
TARGET_GPU = "at most 5 times the floor; 4096 chains underfill a large GPU, so 65,536 are measured too."

CASES = {
    "4096 chains, 4-10-1, 1000 steps":
        {"chains": 4096, "d_in": 4, "hidden": 10, "samples": 32, "steps": 1000},
}
GPU_CASES = {
    # a large GPU has room for more chains than these, so that the latency of a step binds
    **{name: {**case, "latency": True} for name, case in CASES.items()},
    "65536 chains, 4-10-1, 1000 steps":
        {"chains": 65536, "d_in": 4, "hidden": 10, "samples": 32, "steps": 1000},
    "524288 chains, 4-10-1, 100 steps":
        {"chains": 524288, "d_in": 4, "hidden": 10, "samples": 32, "steps": 100},
    "65536 chains, 4-10-1, 1000 steps, Metropolis":
        {"chains": 65536, "d_in": 4, "hidden": 10, "samples": 32, "steps": 1000, "metropolis": True},
}


def cost(case: dict) -> dict:
    """bytes and operations of one run: exp and log are counted as 12 operations each.

    Metropolis adds the loss of each sample, the energies of prior and noise and the choice between two states, and a
    uniform a chain: a Philox call and its logarithm.
    """
    h, k, n = case["hidden"], case["d_in"], case["samples"]
    d = h * (k + 1)
    sample = 2 * h * k + 17 * h + 2 * h + 16 + 4 * h + 2 * h * k
    each = n * sample + d * (25 + 22) + 6 * d
    if case.get("metropolis"):
        each += n * (12 + 3) + 11 * d + 100 + 12
    return {"bytes": 8 * case["chains"] * d, "flops": case["chains"] * case["steps"] * each}


def _net(name, warps=1, **flags):
    f = Pointer("fp32")
    return KernelSpec(
        name, "implicitly_kernels.langevin._triton:_net_kernel",
        (f, f, f, f, f, f, f, Pointer("i64"), 4096, 32, 1000, 0, 0.02, 3),
        {"BOXED": False, "MALA": False, "D_IN": 4, "HIDDEN": 10, "CH": 8, "P": 4, "KL": 1, "I": 4,
         "maxnreg": 128} | flags,
        warps=warps,
    )


def _polynomial(name, d=4, warps=4, **flags):
    f = Pointer("fp32")
    return KernelSpec(
        name, "implicitly_kernels.langevin._triton:_polynomial_kernel",
        (f, f, f, f, f, f, Pointer("i64"), 4096, d, 1000, 0, 0.02, 3, d // 4),
        {"BOXED": False, "MALA": False, "CH": 64, "D": d} | flags, warps=warps,
    )


KERNELS = [
    _net("langevin_net"),
    _net("langevin_net_box", BOXED=True),
    _net("langevin_net_mala", MALA=True, maxnreg=168),
    _net("langevin_net_64_32_1", warps=4, D_IN=64, HIDDEN=32, CH=1, P=32, KL=4, I=16),
    _polynomial("langevin_polynomial"),
    _polynomial("langevin_polynomial_mala", MALA=True, BOXED=True),
    _polynomial("langevin_polynomial_largest", 2048, warps=16, CH=1, MALA=True, BOXED=True),
]
