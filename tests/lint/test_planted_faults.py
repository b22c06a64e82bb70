"""`make lint` as a whole: a fault of each kind, planted into a copy of the workspace, is found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
_COPIED = ("proto", "shared/contracts", "tools/nexpo_tools")
_CONFIGURED = ("buf.yaml", "pyproject.toml", ".importlinter")
_SHOP = "services/shop/nexpo_shop"

PLANTED = {
    "format": (f"{_SHOP}/crooked.py", '"""Crooked."""\n\nx = {  "a":1 }\n'),
    "ruff": (f"{_SHOP}/unused.py", '"""Unused."""\n\nimport os\n'),
    "mypy": (f"{_SHOP}/wrong.py", '"""Wrong."""\n\nanswer: int = "no number"\n'),
    "workflows": (
        f"{_SHOP}/orders/hasty.py",
        '"""Hasty."""\n\nimport requests\n\n__all__ = ["requests"]\n\n\n'
        'async def twice(saga: requests.Saga) -> None:\n    """Twice."""\n'
        '    saga.step("book", 1)\n\n\n'
        '@operation(requests.Contract)\nclass Hasty:\n    """Hasty."""\n',
    ),
    "migrations": (
        f"{_SHOP}/votes/migrations/postgres/0001_votes.sql",
        "CREATE TABLE votes (id int);\n",
    ),
    "imports": (
        "shared/contracts/nexpo/curious.py",
        '"""Curious."""\n\nimport nexpo_runtime\n\n__all__ = ["nexpo_runtime"]\n',
    ),
}
"""A file for each check of Python; the contract's own faults are edits."""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint says of a workspace with every fault; it must not say that all is well."""
    copy = tmp_path_factory.mktemp("workspace")
    for folder in _COPIED:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in _CONFIGURED:
        shutil.copyfile(ROOT / file, copy / file)
    for name, text in PLANTED.values():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    for package in (_SHOP, f"{_SHOP}/orders"):
        (copy / package / "__init__.py").write_text('"""A shop."""\n', encoding="utf-8")
    contract = copy / "proto/nexpo/ai/v1/ai.proto"
    text = contract.read_text(encoding="utf-8")
    # Another number breaks those who have the old one; the name breaks the style.
    assert "string text = 1 [" in text
    text = text.replace("string text = 1 [", "string PlainText = 91 [")
    contract.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "nexpo_tools.lint"],
        cwd=copy,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                str(copy / package) for package in ("tools", "shared/contracts", "services/shop")
            ),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("format", "crooked.py"),
        ("ruff", "unused.py"),
        ("mypy", "wrong.py"),
        ("workflows", "hasty.py"),
        ("workflows", "only describes a step"),
        ("migrations", "0001_votes.sql:1: makes the table votes"),
        ("imports", "nexpo.curious -> nexpo_runtime"),
        ("buf lint", "PlainText"),
        ("buf breaking", 'field "1"'),
        ("generated", "make generate"),
    ],
)
def test_a_planted_fault_is_found_and_shown(printed: str, check: str, says: str) -> None:
    assert re.search(rf"^{check} +FAILED", printed, re.MULTILINE), printed
    section = printed.partition(f"--- {check}\n")[2].partition("\n--- ")[0]
    assert says in section, section
    assert "could not run" not in section


def test_no_check_is_without_a_planted_fault(printed: str) -> None:
    assert not re.findall(r"^(.+?) +ok +\d", printed, re.MULTILINE)
