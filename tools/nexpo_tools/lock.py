"""`make lock`: pins every dependency with its hashes, for every system and Python.

One lock for development, which holds everything, and one per service with its own
dependencies only, at the versions of the development lock: what is deployed is
what was tested. No lock names a registry. Pins stay as they are unless a
pyproject.toml asks for more; `make lock UPGRADE=1` takes the newest of all.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from nexpo_tools.generate import ROOT

_COMPILE = (
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    # Installed from the workspace, never from a registry.
    "--no-emit-package=nexpo-contracts",
    "--no-emit-package=nexpo-runtime",
    "--no-emit-package=nexpo-standins",
)
# What installs all the rest.
_BOOTSTRAP = "uv>=0.13\n"
_DEVELOPMENT = Path("requirements/dev.txt")
_BENCH = Path("requirements/bench.txt")


def lock(root: Path, upgrade: bool) -> list[Path]:
    """Writes the locks of a workspace; returns them, relative to it.

    Args:
        root: The workspace.
        upgrade: Whether to forget the present pins.

    Raises:
        RuntimeError: A lock names a host or a folder of this machine.
        subprocess.CalledProcessError: uv found no solution, or no network.
    """
    services = sorted(root.glob("services/*/pyproject.toml"))
    packages = [
        *sorted(root.glob("shared/*/pyproject.toml")),
        *services,
        *sorted(root.glob("clients/*/pyproject.toml")),
        root / "standins/pyproject.toml",
        root / "dev/pyproject.toml",
        root / "tools/pyproject.toml",
    ]
    extra = ["--upgrade"] if upgrade else []
    bootstrap = Path("requirements/bootstrap.txt")
    _compile(root, bootstrap, ["-", *extra], _BOOTSTRAP)
    sources = [str(package.relative_to(root)) for package in packages]
    _compile(root, _DEVELOPMENT, ["--group=pyproject.toml:dev", *sources, *extra])
    # What a machine needs for `make bench` alone, at versions that fit the rest.
    _compile(root, _BENCH, ["--group=pyproject.toml:bench", f"--constraint={_DEVELOPMENT}", *extra])
    locks = [bootstrap, _DEVELOPMENT, _BENCH]
    for service in services:
        source = service.relative_to(root)
        target = source.with_name("requirements.txt")
        # The constraint decides every version, so no old pin may stand against it.
        (root / target).unlink(missing_ok=True)
        _compile(root, target, [str(source), f"--constraint={_DEVELOPMENT}"])
        locks.append(target)
    return locks


def _compile(root: Path, target: Path, arguments: list[str], text: str = "") -> None:
    command = [sys.executable, "-m", "uv", *_COMPILE, f"--output-file={target}", *arguments]
    subprocess.run(command, cwd=root, input=text, text=True, check=True)
    revealed = re.search(r"https?://\S+|file://\S+", (root / target).read_text(encoding="utf-8"))
    if revealed:
        raise RuntimeError(f"{target} names {revealed[0]}; a lock must fit every machine")


def main() -> None:
    """Entry point of `make lock`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    try:
        locks = lock(ROOT, parser.parse_args().upgrade)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(*(f"locked {path}" for path in locks), sep="\n")


if __name__ == "__main__":
    main()
