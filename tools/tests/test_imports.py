"""Import boundaries: a planted breach of each contract is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nexpo_tools.generate import ROOT
from nexpo_tools.import_rules import check_imports


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
    # A capability's folder: it has no __init__.py, nor a module of its own.
    planted = room / "planted/more/deeply.py"
    planted.parent.mkdir(parents=True)
    planted.write_text(f"{line}\n", encoding="utf-8")

    assert f"{package}.planted.more.deeply" in check_imports(ROOT, [tmp_path / top])
