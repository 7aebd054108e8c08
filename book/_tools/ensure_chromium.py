"""Find a Chromium for the browser tests; install it with the system's package manager if there is none."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALLERS = {
    "apt-get": [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]],
    "dnf": [["dnf", "install", "-y", "-q", "chromium"]],
    "pacman": [["pacman", "-Sy", "--noconfirm", "chromium"]],
}


def find() -> str | None:
    """Path of a Chromium or Chrome: the variable CHROME first, then the usual names."""
    names = (os.environ.get("CHROME"), *NAMES)
    return next((path for name in names if name and (path := shutil.which(name))), None)


def install() -> None:
    """Install with the first package manager that is here, as root or through sudo without a password."""
    manager = next((name for name in INSTALLERS if shutil.which(name)), None)
    if manager is None:
        sys.exit("No Chromium and no known package manager. Install Chromium or Chrome, or set CHROME to its path.")
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and not shutil.which("sudo"):
        sys.exit(f"No Chromium found. As root, run: {' '.join(INSTALLERS[manager][-1])}")
    for command in INSTALLERS[manager]:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        if subprocess.run([*sudo, *command], env=environment, stdin=subprocess.DEVNULL).returncode:
            sys.exit(f"Could not install Chromium ({' '.join(command)}). Install it, or set CHROME to its path.")


if __name__ == "__main__":
    if find() is None:
        install()
    print(find() or sys.exit("The package manager installed no Chromium under a known name; set CHROME to its path."))
