"""Who may import whom: import-linter with the contracts of .importlinter.

It passes over a folder without `__init__.py`, and a capability's folder needs none.
So it reads a mirror of the packages in which every folder has one.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path


def check_imports(root: Path, packages: Iterable[Path]) -> str:
    """What import-linter finds; empty when all is well.

    Args:
        root: The workspace, with .importlinter.
        packages: The packages' folders.
    """
    with tempfile.TemporaryDirectory(prefix="nexpo-imports-") as name:
        for package in packages:
            _mirror(package, Path(name) / package.name)
        path = [name, *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            [
                str(Path(sysconfig.get_path("scripts")) / "lint-imports"),
                "--no-cache",
                f"--config={root / '.importlinter'}",
            ],
            cwd=name,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            capture_output=True,
            text=True,
            check=False,
        )
    return (done.stdout + done.stderr).strip() if done.returncode else ""


def _mirror(package: Path, target: Path) -> None:
    for folder, folders, files in os.walk(package):
        folders[:] = [name for name in folders if name.isidentifier() and name != "__pycache__"]
        mirrored = target / Path(folder).relative_to(package)
        mirrored.mkdir(parents=True, exist_ok=True)
        for file in filter(lambda name: name.endswith(".py"), files):
            (mirrored / file).symlink_to(Path(folder) / file)
        if "__init__.py" not in files:
            (mirrored / "__init__.py").touch()
