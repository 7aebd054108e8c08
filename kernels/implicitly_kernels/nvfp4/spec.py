"""What the FP4 kernels cost: bytes, operations, the shapes benchmarked, the launches compiled."""

from implicitly_kernels._compile import KernelSpec, Pointer

TITLE = "FP4 block quantization"
SHOWN = "_fp4_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Quantizes a tensor to 4-bit numbers in blocks that share a scale, and back: NVFP4 (blocks of "
    "16, E4M3 scales) and MXFP4 (blocks of 32, powers of two), to nearest or stochastically."
)
COUNT = (
    "Quantize-dequantize reads 4 bytes an element and writes 4. Memory for a result of 64 MB is new to a process, "
    "and the system clears it first: on a CPU 4 bytes more, 12 in all, while torch keeps a GPU's, and small results "
    "lie in memory that was used before. (The ceiling is a copy into memory that is there.) Rounding to nearest takes "
    "about 18 operations an element (a division, compares and selects); the stochastic form adds a quarter of a "
    "Philox call, about 25 integer operations. On every machine we know the bytes bind first, except one CPU core "
    "drawing Philox words. We divide by the scale; torchao multiplies by its "
    "reciprocal, which may round an element at a tie the other way: the few that differ in the table. "
    "A product that rounded its factors on the way would spare them the way to memory and back; the case with a "
    "product shows, beside the product alone, what rounding costs there in all: the most that could be won."
)
CHAPTERS = ("fp4-training",)
BINDS = "bytes"
TARGET_CPU = {"rtn 4096 x 4096": 35, "sr 4096 x 4096": 35}
TARGET_GPU = "at least 80 % of the measured copy bandwidth, at 4096 x 4096 and at 16384 x 16384."
WHY_NOT = {
    "rtn 4096 x 4096":
        "Memory binds. On the CPU where this was looked into, three tenths of the time were the system's, which clears "
        "new memory for the result: into memory that was there the same loop took twice as long as torch's copy, and "
        "two fifths of that in cache.",
    "sr 4096 x 4096":
        "Memory binds as it does to nearest, and randomness comes on top: on the CPU where this was looked into, "
        "half of the time in cache went into addressed Philox words, ten rounds for every four elements, and two "
        "fifths into the rounding itself. Eager torch is bound by its temporaries, and its own words, which nobody can "
        "draw again element by element, add less to that.",
}

CASES = {
    "rtn 4096 x 4096": {"rows": 4096, "cols": 4096, "rounding": "rtn", "cleared": 4},
    "sr 4096 x 4096": {"rows": 4096, "cols": 4096, "rounding": "sr", "cleared": 4},
    "rtn of both factors, and their product, 512 x 512 x 512":
        {"rows": 512, "cols": 512, "rounding": "rtn", "other": 512},
}
GPU_CASES = {
    # the product is over before a large GPU is full: the latency of its launches binds
    **{name: {key: case[key] for key in case if key != "cleared"} | ({"latency": True} if "other" in case else {})
       for name, case in CASES.items()},
    "rtn 8192 x 8192": {"rows": 8192, "cols": 8192, "rounding": "rtn"},
    "rtn 16384 x 16384": {"rows": 16384, "cols": 16384, "rounding": "rtn"},
    "sr 16384 x 16384": {"rows": 16384, "cols": 16384, "rounding": "sr"},
    "rtn 16384 x 16384, bfloat16": {"rows": 16384, "cols": 16384, "rounding": "rtn", "dtype": "bfloat16"},
    "quantize alone, rtn 16384 x 16384": {"rows": 16384, "cols": 16384, "rounding": "rtn", "call": "quantize"},
    "dequantize alone, 16384 x 16384": {"rows": 16384, "cols": 16384, "rounding": "rtn", "call": "dequantize"},
}


def cost(case: dict) -> dict:
    """bytes moved and operations done, in one quantize-dequantize of this case, and a product where it has one.

    case["cleared"]: bytes an element that the system writes before, in memory that is new. case["call"]: "quantize" or
    "dequantize", where it is one of the two alone: an element is then half a byte on one side, and a sixteenth of its
    scale's; a look-up and a product are what the way back takes.
    """
    call, width = case.get("call", "qdq"), 2 if case.get("dtype") == "bfloat16" else 4
    packed = 1 / 2 + 1 / 16
    moved = {"qdq": 2 * width + case.get("cleared", 0), "quantize": width + packed, "dequantize": packed + 4}[call]
    each = 2 if call == "dequantize" else 18 if case["rounding"] == "rtn" else 43
    other = case.get("other", 0)
    n, product = (case["rows"] + other) * case["cols"], 2 * case["rows"] * case["cols"] * other
    return {"bytes": int(moved * n), "flops": each * n + product}


def _qdq(name, seed, **flags):
    constants = {"BLOCK": 16, "MX": False, "UP": False, "SR": False, "PACK": False, "ROWS": 64}
    out = "u8" if flags.get("PACK") else "fp32"
    return KernelSpec(
        name, "implicitly_kernels.nvfp4._triton:_fp4_kernel",
        (Pointer("fp32"), Pointer("fp32"), Pointer(out), Pointer(out), seed, 1 << 20),
        constants | flags, exact=True, streams=True,
    )


KERNELS = [
    _qdq("nvfp4_qdq", 3),
    _qdq("nvfp4_qdq_up", 3, UP=True),
    _qdq("nvfp4_qdq_sr", 3, SR=True),
    _qdq("nvfp4_quantize", 3, PACK=True),
    _qdq("nvfp4_mxfp4_qdq", 3, MX=True, BLOCK=32),
    _qdq("nvfp4_mxfp4_qdq_sr", 3, MX=True, BLOCK=32, SR=True),
    KernelSpec(
        "nvfp4_dequantize", "implicitly_kernels.nvfp4._triton:_fp4_dequantize_kernel",
        (Pointer("u8"), Pointer("u8"), Pointer("fp32"), Pointer("fp32"), 1 << 20),
        {"BLOCK": 16, "MX": False, "ROWS": 64}, exact=True,
    ),
]
