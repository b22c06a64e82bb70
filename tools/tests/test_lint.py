"""`make lint` itself: what it says, and that it sees everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nexpo_tools.generate import ROOT
from nexpo_tools.lint import report, run_checks, type_runs


def test_every_failed_check_says_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    checks = {"style": lambda: "", "types": lambda: "a.py:1: wrong", "imports": lambda: "b knows c"}

    code = report(run_checks(checks))

    printed = capsys.readouterr().out
    assert code == 1
    assert "style         ok" in printed
    assert "types         FAILED" in printed
    assert "a.py:1: wrong" in printed
    assert "b knows c" in printed


def test_a_check_that_cannot_run_fails_and_hides_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken() -> str:
        raise FileNotFoundError("no buf here")

    code = report(run_checks({"buf": broken, "types": lambda: "a.py:1: wrong"}))

    printed = capsys.readouterr().out
    assert code == 1
    assert "could not run: FileNotFoundError: no buf here" in printed
    assert "a.py:1: wrong" in printed


def test_all_passed_is_exit_code_zero() -> None:
    assert report(run_checks({"style": lambda: ""}, {"types": lambda: ""})) == 0


def test_all_python_that_is_written_by_hand_is_typed() -> None:
    seen = [ROOT / path for run in type_runs(ROOT) for path in run.paths]
    hidden = {".venv", ".cache", "build", "node_modules", "third_party", "contracts"}

    for file in ROOT.rglob("*.py"):
        if not hidden & set(file.relative_to(ROOT).parts):
            assert any(file == path or path in file.parents for path in seen), file


def test_style_is_checked_of_what_is_written_by_hand_among_the_contracts() -> None:
    command = ["-m", "ruff", "check", "--show-files", "shared/contracts"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True
    )

    seen = {Path(line).relative_to(ROOT / "shared/contracts") for line in done.stdout.splitlines()}

    by_hand = {Path("nexpo", name) for name in ("client.py", "contract.py", "registry.py")}
    assert {path for path in seen if path.suffix == ".py"} == by_hand


def test_tests_of_two_packages_may_have_modules_of_one_name(tmp_path: Path) -> None:
    for package in ("services/shop", "services/bank"):
        (tmp_path / package / "tests").mkdir(parents=True)
        (tmp_path / package / "tests/conftest.py").touch()

    together = [run.paths for run in type_runs(tmp_path) if len(run.paths) > 1]

    assert together == []
