"""``python -m implicitly`` prints the line that a report of a fault should carry."""

import platform
from importlib.metadata import PackageNotFoundError, version

from . import __version__


def installed(package: str) -> str:
    """The version of an installed package, or the word ``none``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def devices() -> list[str]:
    """What torch computes with: the CPU's vector instructions, and the GPU. It may be missing, or not load."""
    try:
        import torch

        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        return [torch.backends.cpu.get_cpu_capability(), gpu]
    except Exception as error:
        return [f"torch does not load ({type(error).__name__})"]


def environment_line() -> str:
    """Versions, system, CPU and GPU in one line, without names of users, folders or hosts."""
    packages = [f"{name} {installed(name)}" for name in ("torch", "triton", "numba")]
    system = f"{platform.system()} {platform.machine()}"
    return " | ".join(
        [f"implicitly {__version__}", *packages, f"python {platform.python_version()}", system, *devices()]
    )


if __name__ == "__main__":
    print(environment_line())
