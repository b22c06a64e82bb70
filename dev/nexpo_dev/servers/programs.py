"""Where the programs of the wheels lie."""

import sysconfig
from importlib.util import find_spec
from pathlib import Path


def program(name: str) -> Path:
    """Path of a program that a wheel installed beside this Python."""
    return Path(sysconfig.get_path("scripts")) / name


def package_folder(name: str) -> Path:
    """Folder of an installed package, found without importing it.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"The package {name} is not installed.", name=name)
    return Path(spec.origin).parent
