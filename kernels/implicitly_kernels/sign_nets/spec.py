"""What a network costs, the shapes benchmarked, the launches compiled."""

from itertools import pairwise

from implicitly_kernels._compile import KernelSpec, Pointer

TITLE = "Random threshold networks"
SHOWN = "_sign_nets_kernel"  # the kernel on the page, of `_triton.py`
SUMMARY = (
    "Draws millions of random binary-weight threshold networks and shows each the labelled sample "
    "until it misses one: how many interpolate, and which. Weights come from (seed, index) and are "
    "never stored."
)
COUNT = (
    "For a 16-8-1 network: two Philox calls draw its 136 weight bits. A call is ten rounds of two products and four "
    "XORs, 80 operations; vectors of a CPU multiply every second word, so there a round is four products, four shifts "
    "and four XORs of three, and what joins the words in the end makes it 124. A product took the place of 1.8 sums on "
    "the CPU where it was timed, and the ceiling is one of sums, so there a call counts as 156. Two neurons of 16 "
    "inputs share a "
    "word, and a sample costs about 4 operations a word (XOR, population count, compare, add), 20 in all. With "
    "balanced labels half of the networks fail at each sample, so two samples on average: about 350 operations a "
    "network on a CPU and 200 on a GPU, and no memory traffic worth counting. More is done than is counted: lanes go "
    "on until all of their vector have failed, which takes sixteen networks 5.4 samples and a warp 6.4. About half of "
    "the time of a CPU goes into drawing."
)
CHAPTERS = ("typical-nets", "tempered-overfitting")
BINDS = "int"
TARGET_CPU = {"16-8-1, 64 samples": 120}
TARGET_GPU = "at least 10 billion networks a second on a Hopper GPU."

CASES = {"16-8-1, 64 samples": {"widths": (16, 8, 1), "samples": 64, "nets": 1 << 23, "philox": 156}}
GPU_CASES = {
    "16-8-1, 64 samples": {"widths": (16, 8, 1), "samples": 64, "nets": 1 << 32},
    "16-32-1, 64 samples": {"widths": (16, 32, 1), "samples": 64, "nets": 1 << 31},
    "64-16-8-1, 64 samples": {"widths": (64, 16, 8, 1), "samples": 64, "nets": 1 << 30},
}


def cost(case: dict) -> dict:
    """Integer operations and bytes of testing case["nets"] networks with balanced labels; a Philox call is 80, or as
    case["philox"] says."""
    words = draws = 0
    for d_in, d_out in pairwise(case["widths"]):
        field = 1 << (d_in - 1).bit_length()
        draws += -(-d_out * field // 128)
        words += -(-d_out * max(field, 16) // 32)  # narrower ones have a word's half, or one of their own
    each = case.get("philox", 80) * draws + 2 * 4 * words
    return {"bytes": 0, "ints": case["nets"] * each}


def _kernel(name, depth, nets, **constants):
    widths = {f"D{k}": 0 for k in range(5)} | {f"F{k}": 0 for k in range(4)} | {
        f"H{k}": 0 for k in (1, 2, 3, 4)}
    base = {"BIAS": 0, "SCALED": False, "BITS": False, "NETS": nets, "REPEAT": 16, "BINS": 128, "NATIVE": True}
    for layer, (d, out) in enumerate(pairwise(depth)):
        widths |= {f"D{layer}": d, f"D{layer + 1}": out, f"F{layer}": 1 << (d - 1).bit_length(),
                   f"H{layer + 1}": 1 << (out - 1).bit_length()}
    return KernelSpec(
        name, "implicitly_kernels.sign_nets._triton:_sign_nets_kernel",
        (Pointer("i64"), Pointer("i32"), Pointer("i64"), Pointer("i32"), 3, 0, 1 << 28, 64),
        widths | base | constants, warps=1, exact=True,
    )


KERNELS = [
    _kernel("sign_nets_16_8_1", (16, 8, 1), 64),
    _kernel("sign_nets_16_32_1", (16, 32, 1), 32),
    _kernel("sign_nets_12_24_1_general", (12, 24, 1), 32, BIAS=3, SCALED=True, BITS=True),
    _kernel("sign_nets_64_16_8_1", (64, 16, 8, 1), 32),
    _kernel("sign_nets_40_33_1_biased", (40, 33, 1), 32, BIAS=3),  # two words a neuron and most padding: the most kept
]
