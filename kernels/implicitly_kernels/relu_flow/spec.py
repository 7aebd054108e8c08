"""What the flow costs, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer

TITLE = "Flow of a shallow denoiser"
SHOWN = "_relu_flow_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Moves many particles along the score flow or probability flow of the minimum-norm shallow ReLU "
    "denoiser: all steps of all particles in one call."
)
COUNT = (
    "As written, a step costs 4md operations a particle (two products with U). The kernels use that "
    "the flow closes on the m coordinates U y, with the Gram matrix in between: 2m(m+4) operations, "
    "and the state stays in registers or cache for the whole run. Bytes: the d numbers and the m "
    "coordinates of a particle are read once and written once. With m = d = 30 and 100 steps that is "
    "430 operations a byte: arithmetic binds."
)
CHAPTERS = ("score-flow",)
BINDS = "flop"
TARGET_CPU = {"100k particles, m = d = 30, 100 steps": 4.5}
TARGET_GPU = "at most 3 times the floor."

CASES = {
    "100k particles, m = d = 30, 100 steps": {"particles": 100_000, "m": 30, "d": 30, "steps": 100},
}
GPU_CASES = {
    **CASES,
    "1M particles, m = d = 30, 100 steps": {"particles": 1_000_000, "m": 30, "d": 30, "steps": 100},
    "1M particles, m = d = 64, 100 steps": {"particles": 1_000_000, "m": 64, "d": 64, "steps": 100},
}


def cost(case: dict) -> dict:
    """bytes and float operations of one Euler trajectory, in the coordinate form."""
    b, m, d, t = case["particles"], case["m"], case["d"], case["steps"]
    return {"bytes": 8 * b * (d + m), "flops": 2 * b * m * (m + 4) * t + 4 * b * m * d}


def _kernel(name, p, m, stages, warps=4):
    f = Pointer("fp32")
    return KernelSpec(
        name, "implicitly_kernels.relu_flow._triton:_relu_flow_kernel",
        (f, f, f, f, f, f, f, 100_000, 30, 100, 0), {"STAGES": stages, "P": p, "M": m}, warps=warps,
    )


KERNELS = [
    _kernel("relu_flow_euler", 64, 32, 1),
    _kernel("relu_flow_heun", 32, 32, 2),
    _kernel("relu_flow_heun_64_edges", 16, 64, 2),
    _kernel("relu_flow_euler_128_edges", 16, 128, 1, warps=8),
    _kernel("relu_flow_heun_128_edges", 16, 128, 2, warps=8),
]
