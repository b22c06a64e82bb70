"""buf over the contract: its lint rules, and what must not break.

buf runs from its wheel, with a cache of its own below .cache, and asks no
registry: the protos of others lie in third_party/.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from nexpo_tools import third_party
from nexpo_tools.generate import ROOT

# The contract as it was released last, as a descriptor set.
RELEASED = Path("proto/released.binpb")


def lint(root: Path) -> str:
    """What STANDARD finds in the contract of a workspace; empty when nothing."""
    return _buf(root, "lint")


def breaking(root: Path) -> str:
    """What breaks the released contract; empty when nothing."""
    return _buf(root, "breaking", "proto", "--against", str(RELEASED))


def release(root: Path) -> str:
    """Makes the contract as it is the released one; returns what stood in the way."""
    return _buf(root, "build", "proto", "--exclude-source-info", "-o", str(RELEASED))


def _buf(root: Path, *arguments: str) -> str:
    third_party.lay_out(root / "third_party")
    environment = {**os.environ, "BUF_CACHE_DIR": str(root / ".cache/buf")}
    done = subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / "buf"), *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.returncode:
        return ""
    return (done.stdout + done.stderr).strip() or f"buf ended with {done.returncode}"


def main() -> None:
    """Entry point of `make release-contract`."""
    problem = release(ROOT)
    if problem:
        sys.exit(problem)
    print(f"{RELEASED} is the contract as it is now")


if __name__ == "__main__":
    main()
