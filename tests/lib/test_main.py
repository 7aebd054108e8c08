"""The line for reports of faults: its fields, with torch and without."""

import platform
import subprocess
import sys
from importlib.metadata import version

import torch

import implicitly


def line(*command) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    (text,) = done.stdout.splitlines()
    return text


def test_fields():
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    fields = line("-m", "implicitly").split(" | ")
    assert fields[0] == f"implicitly {implicitly.__version__}" == f"implicitly {version('implicitly')}"
    assert fields[1] == f"torch {torch.__version__}"
    assert fields[3] == f"numba {version('numba')}"
    assert fields[4:] == [
        f"python {platform.python_version()}",
        f"{platform.system()} {platform.machine()}",
        torch.backends.cpu.get_cpu_capability(),
        gpu,
    ]


def test_without_torch_jupyter_and_the_rest():
    """As in an environment that holds nothing else: the other packages are hidden."""
    hide = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "numpy", "numba", "triton", "matplotlib", "IPython", "ipywidgets"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
import importlib.metadata
def version(name):
    raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = version
import runpy
runpy.run_module("implicitly", run_name="__main__")
"""
    fields = line("-c", hide).split(" | ")
    assert fields[:4] == [f"implicitly {implicitly.__version__}", "torch none", "triton none", "numba none"]
    assert fields[-1] == "torch does not load (ModuleNotFoundError)"


def test_a_torch_that_does_not_load(tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so: cannot open shared object file')")
    first = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r})"
    assert line("-c", f"{first}; runpy.run_module('implicitly', run_name='__main__')").endswith(
        " | torch does not load (OSError)"
    )
