"""Where the programs of the wheels lie."""

import sysconfig
from pathlib import Path


def program(name: str) -> Path:
    """Path of a program that a wheel installed beside this Python."""
    return Path(sysconfig.get_path("scripts")) / name
