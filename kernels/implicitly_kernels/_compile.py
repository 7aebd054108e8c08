"""Compile the Triton kernels for GPUs that are not here, and read what the binary will use.

Proves that the source compiles, for which chips, and within which registers, stack and shared
memory. It does not prove that the binary is right or fast: the `gpu` lane does.
"""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field

ARCHS = (80, 90, 100)  # Ampere, Hopper, Blackwell


@dataclass(frozen=True)
class Pointer:
    """Stands for a CUDA tensor in a compilation: a Triton dtype name and an address, no storage."""

    dtype: str
    aligned: bool = True

    def data_ptr(self):
        return 0 if self.aligned else 4


@dataclass(frozen=True)
class KernelSpec:
    """One kernel as one launch would specialise it.

    kernel: "module:function". args: positional launch arguments (Pointer or numbers).
    constants: constexpr arguments. exact: the PTX must hold no fused multiply-add.
    streams: global loads must be 128 bits wide.
    """

    name: str
    kernel: str
    args: tuple
    constants: dict = field(default_factory=dict)
    warps: int = 4
    exact: bool = False
    streams: bool = False


class StubDriver:
    """Answers what Triton asks while compiling, in place of a GPU's driver."""

    def __init__(self, arch):
        from triton.backends.compiler import GPUTarget

        self.target = GPUTarget("cuda", arch, 32)

    def get_current_target(self):
        return self.target

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 0


def compile_kernel(spec: KernelSpec, arch: int) -> dict:
    """Compile `spec` for sm_<arch> and return its resource usage (see `usage`)."""
    from importlib import import_module

    from triton.runtime import driver

    driver.set_active(StubDriver(arch))
    module, function = spec.kernel.split(":")
    kernel = getattr(import_module(module), function)
    # A kernel keeps what it compiled per device number, whatever that device's chip is.
    getattr(kernel, "device_caches", {}).clear()
    compiled = kernel.warmup(
        *spec.args, **spec.constants, num_warps=spec.warps, enable_fp_fusion=not spec.exact,
        grid=(1,),
    )
    return usage(compiled)


def usage(compiled) -> dict:
    """Registers, stack and local bytes a thread, instructions, spills, shared bytes, 128-bit and all loads, FMAs.

    Reads the cubin with the tools in Triton's own wheel. `instructions` are those of the machine code as it stands,
    loops once, without what pads its end. `fma` counts contractions in the PTX: in the machine code an IEEE division
    expands to FFMA, which is no contraction of ours.
    """
    import triton

    tools = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin")

    def run(tool, *args):
        return subprocess.run(
            [os.path.join(tools, tool), *args], capture_output=True, text=True, check=True
        ).stdout

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        found = re.search(
            r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", run("cuobjdump", "-res-usage", file.name)
        )
        sass = run("nvdisasm", "-c", file.name)

    def count(pattern):
        return len(re.findall(rf"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+\s+)?{pattern}", sass, re.M))

    return {
        "regs": int(found[1]), "stack": int(found[2]), "spills": count("LDL") + count("STL"),
        "instructions": len(re.findall(r"^\s+/\*[0-9a-f]+\*/\s+(?!NOP\b)\S", sass, re.M)),
        "shared": int(compiled.metadata.shared), "warps": int(compiled.metadata.num_warps),
        "loads128": count(r"LDG\.E\.128"), "loads": count("LDG"),
        "fma": compiled.asm["ptx"].count("fma.rn"),
    }


def over_budget(spec: KernelSpec, used: dict, budget: dict) -> list[str]:
    """What `used` breaks: one sentence each, naming the kernel, the number and the limit."""
    wrong = [
        f"{spec.name}: {key} is {used[key]}, the budget is {limit}"
        for key, limit in budget.items()
        if used[key] > limit
    ]
    if spec.exact and used["fma"]:
        wrong.append(f"{spec.name}: {used['fma']} fused multiply-adds in a contraction-free kernel")
    if spec.streams and not used["loads128"]:
        wrong.append(f"{spec.name}: no 128-bit load in a streaming kernel")
    return wrong
