"""The code of the commit that BASE names."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("shared/contracts", "shared/runtime", "services/gateway", "services/db-worker"),
    *("services/cloud-worker", "services/ai-worker"),
)


class NoHistoryError(Exception):
    """The commit cannot be had; the text says why."""


def commit() -> str:
    """The commit's hash."""
    return Path(__file__).with_name("BASE").read_text(encoding="utf-8").strip()


def unpack(folder: Path) -> str:
    """Writes the commit's services and libraries into the folder.

    Returns:
        The PYTHONPATH with which they win over those of today.

    Raises:
        NoHistoryError: This is no clone, or a shallow one.
    """
    command = ["git", "archive", "--format=tar", commit(), *PACKAGES]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True)
    except FileNotFoundError:
        raise NoHistoryError("there is no git") from None
    if done.returncode != 0:
        raise NoHistoryError(done.stderr.decode().strip())
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return os.pathsep.join(str(folder / package) for package in PACKAGES)
