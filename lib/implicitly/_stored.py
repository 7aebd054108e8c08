"""Files that the package ships: weights and results of trainings, each read only if it is the one that was stored."""

import hashlib
from importlib import resources


def stored_bytes(package: str, name: str, sha256: str) -> bytes:
    """The content of a file in a package of the library; ValueError where its SHA-256 is another one."""
    data = resources.files(package).joinpath(name).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(f"{name} must have the SHA-256 {sha256}, found {found}: train and store it again")
    return data
