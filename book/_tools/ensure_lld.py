"""Find the linker that page functions are compiled with; install it with the system's package manager if it is missing.

One version of it, so that the same source gives the same bytes.
"""

import os
import shutil
import subprocess
import sys

MAJOR = "19"
NAME = f"wasm-ld-{MAJOR}"
PACKAGE = f"lld-{MAJOR}"
HINT = f"No {NAME}. Install it (Debian, Ubuntu: apt-get install {PACKAGE}), or set WASM_LD to a wasm-ld {MAJOR}."


def find() -> str | None:
    """Path of wasm-ld: the variable WASM_LD first, then its name, then one without a number of this version."""
    if os.environ.get("WASM_LD"):
        return shutil.which(os.environ["WASM_LD"])
    plain = shutil.which("wasm-ld")
    if shutil.which(NAME) or plain is None:
        return shutil.which(NAME)
    said = subprocess.run([plain, "--version"], capture_output=True, text=True, check=False).stdout
    return plain if f"LLD {MAJOR}." in said else None


def install() -> bool:
    """Install with apt-get, as root or through sudo without a password; whether it is there now."""
    if shutil.which("apt-get") is None:
        return False
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and not shutil.which("sudo"):
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", PACKAGE]):
        null = subprocess.DEVNULL
        if subprocess.run([*sudo, *command], env=environment, stdin=null, stdout=null).returncode:
            return False
    return find() is not None


if __name__ == "__main__":
    if find() is None:
        install()
    print(find() or sys.exit(HINT))
