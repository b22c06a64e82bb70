"""Import boundaries: a planted breach of each contract is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from nexpo_tools.generate import ROOT


def lint_imports(folder: Path, path: list[Path]) -> subprocess.CompletedProcess[str]:
    """import-linter with the workspace's contracts, some packages found below `path` first."""
    return subprocess.run(
        [
            str(Path(sysconfig.get_path("scripts")) / "lint-imports"),
            "--no-cache",
            f"--config={ROOT / '.importlinter'}",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("home", "package", "line"),
    [
        ("services/db-worker", "nexpo_db_worker", "import nexpo_gateway"),
        (
            "services/db-worker",
            "nexpo_db_worker.users",
            "from nexpo_db_worker.engines import postgres",
        ),
        (
            "services/db-worker",
            "nexpo_db_worker.engines.postgres",
            "from nexpo_db_worker.users import table",
        ),
        ("shared/runtime", "nexpo_runtime", "import nexpo_db_worker"),
        ("shared/contracts", "nexpo", "import nexpo_runtime"),
        ("shared/contracts", "nexpo", "import temporalio"),
        ("dev", "nexpo_dev", "from nexpo_db_worker import databases"),
        ("dev", "nexpo_dev", "from nexpo_runtime import errors"),
        ("clients/cli", "nexpo_cli", "from nexpo_runtime import errors"),
        ("services/gateway", "nexpo_gateway", "import nexpo_dev"),
        ("services/gateway", "nexpo_gateway", "import nexpo_standins"),
        ("standins", "nexpo_standins", "from nexpo.errors.v1 import errors_pb2"),
    ],
)
def test_a_planted_import_across_a_boundary_is_found(
    home: str, package: str, line: str, tmp_path: Path
) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    top, room = package.partition(".")[0], tmp_path / package.replace(".", "/")
    shutil.copytree(ROOT / home / top, tmp_path / top, ignore=ignored)
    (room / "planted.py").write_text(f"{line}\n", encoding="utf-8")

    done = lint_imports(tmp_path, [tmp_path])

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{package}.planted" in done.stdout
