"""``python -m implicitly`` prints the line that a report of a fault should carry."""

import platform
from importlib.metadata import PackageNotFoundError, version


def installed(package: str) -> str:
    """The version of an installed package, or the word ``none``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def environment_line() -> str:
    """Versions, system and GPU in one line, without names of users, folders or hosts."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    packages = [f"{name} {installed(name)}" for name in ("implicitly", "torch", "triton", "numba")]
    system = f"{platform.system()} {platform.machine()}"
    return " | ".join([*packages, f"python {platform.python_version()}", system, gpu])


if __name__ == "__main__":
    print(environment_line())
