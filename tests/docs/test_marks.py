"""`make test` and `make verify` together run every test, and each runs it once."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from nexpo_dev import pytest_order

from .markdown import ROOT

_MARK = re.compile(r' -m ("[^"]*"|\S+)')


def _command(target: str) -> str:
    """The pytest command of a target, without what it writes."""
    done = subprocess.run(
        ["make", "-n", "-o", ".venv/.ready", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [line for line in done.stdout.splitlines() if "-m pytest" in line]
    return re.sub(r" --junitxml=.*", "", line.partition(" -m pytest")[2])


def test_what_one_leaves_out_the_other_runs() -> None:
    (test,) = _MARK.findall(_command("test"))
    (verify,) = _MARK.findall(_command("verify"))
    assert (test, verify) == ('"not verify"', "verify")
    assert _MARK.sub("", _command("test")) == _MARK.sub("", _command("verify"))


def test_every_file_with_tests_is_where_they_look() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    paths = tuple(f"{path}/" for path in settings["ini_options"]["testpaths"])
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "test_*.py"]
    listed += ["**/test_*.py"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    files = found.stdout.split()
    assert len(files) > 100
    assert [file for file in files if not file.startswith(paths)] == []


@pytest.mark.parametrize("path", [*pytest_order.WITH_STACK, *pytest_order.LONGEST])
def test_a_path_that_the_order_names_is_there(path: str) -> None:
    assert Path(ROOT / path).exists()
