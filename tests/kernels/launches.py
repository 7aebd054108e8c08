"""Take every GPU case of every op, as its benchmark calls it, up to its launches, without a GPU.

    python tests/kernels/launches.py [OP ...]

Tensors lie on the CPU and say that they do not; each launch compiles for Hopper and runs nothing. So arguments, checks,
tables, grids and specialisations are those of a GPU. Batches are smaller, with the same remainder by 16, which is what
a specialisation looks at. Prints a line of JSON for each case: what its launches use, and how often it asked for what
a tensor holds.
"""

import importlib
import json
import sys
from pathlib import Path
from unittest.mock import patch

import torch
from test_asks import asks

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
sys.path[:0] = [str(KERNELS / "benchmarks"), str(KERNELS)]

LESS = {"chains": 512, "particles": 4096, "problems": 64, "rows": 256, "B": 32, "maps": 2048}
OWN = {"relu_gd": {"nets": 64}}  # those of sign_nets are only counted: all their launches are made


def cases(only):
    from implicitly_kernels._ops import ops

    for op in only or ops():
        for name, case in importlib.import_module(f"implicitly_kernels.{op}.spec").GPU_CASES.items():
            less = LESS | OWN.get(op, {})
            yield op, name, {key: min(value, less[key]) if key in less else value for key, value in case.items()}


def main():
    from gpu_variants import HOPPER, compiling, ours

    def zeros(self, *size, **kwargs):  # what no kernel has written, the host may read
        return self.new_zeros(*size, **kwargs)

    for op, name, case in cases(sys.argv[1:]):
        with (compiling(HOPPER) as used, patch.object(torch.Tensor, "is_cuda", True),
              patch.object(torch.Tensor, "new_empty", zeros)):
            found = asks(ours(op, case, "cpu"))
        print(json.dumps({"op": op, "case": name, "asks": found, "used": used}), flush=True)


if __name__ == "__main__":
    main()
