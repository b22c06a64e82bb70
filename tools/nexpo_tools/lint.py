"""`make lint`: every static check of the workspace, each with its own verdict.

mypy takes most of the time and one core, so it runs beside all the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from nexpo_tools import buf
from nexpo_tools.generate import ROOT, GenerationError, drift, generate
from nexpo_tools.migration_rules import check_migrations
from nexpo_tools.workflow_rules import check_workflows

_SOURCES = (
    "conftest.py",
    "shared/runtime/nexpo_*",
    "services/*/nexpo_*",
    "clients/cli/nexpo_*",
    "dev/nexpo_*",
    "tools/nexpo_*",
)
# Generated, but by templates of this workspace.
_GENERATED = ("shared/contracts/nexpo",)
_TESTS = (
    "shared/*/tests",
    "services/*/tests",
    "clients/*/tests",
    "dev/tests",
    "tools/tests",
    "tests",
    "bench",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a check ended: its name, what it found (nothing: passed), seconds."""

    name: str
    findings: str
    seconds: float


Check = Callable[[], str]


def main() -> None:
    """Runs every check; exits with 1 when one found something."""
    alongside: dict[str, Check] = {
        "format": lambda: _run("ruff", "format", "--check", "--quiet", "--diff", "."),
        "ruff": lambda: _run("ruff", "check", "--quiet", "."),
        "buf lint": lambda: buf.lint(ROOT),
        "buf breaking": lambda: buf.breaking(ROOT),
        "generated": _drift,
        "imports": lambda: _run("lint-imports", "--cache-dir", ".cache/import-linter"),
        "workflows": lambda: "\n".join(map(str, check_workflows(ROOT))),
        "migrations": lambda: "\n".join(check_migrations(ROOT)),
    }
    sys.exit(report(run_checks(alongside, {"mypy": _mypy})))


def run_checks(*lanes: dict[str, Check]) -> list[Verdict]:
    """Runs the lanes side by side, the checks of a lane one after the other."""
    with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        done = pool.map(lambda lane: [_verdict(*check) for check in lane.items()], lanes)
        return [verdict for verdicts in done for verdict in verdicts]


def report(verdicts: list[Verdict]) -> int:
    """Prints every verdict, then what failed in full; returns the exit code."""
    for verdict in verdicts:
        word = "FAILED" if verdict.findings else "ok"
        print(f"{verdict.name:<14}{word:<8}{verdict.seconds:5.1f} s")
    failed = [verdict for verdict in verdicts if verdict.findings]
    for verdict in failed:
        print(f"\n--- {verdict.name}\n{verdict.findings}")
    return 1 if failed else 0


def _verdict(name: str, check: Check) -> Verdict:
    start = monotonic()
    try:
        findings = check()
    except Exception as error:
        # One check that cannot run, such as a tool that is missing, hides no other.
        findings = f"could not run: {type(error).__name__}: {error}"
    return Verdict(name, findings, monotonic() - start)


def _run(program: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / program), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.returncode:
        return ""
    return (done.stdout + done.stderr).strip() or f"{program} ended with {done.returncode}"


def _drift() -> str:
    with tempfile.TemporaryDirectory(prefix="nexpo-generated-") as name:
        try:
            generate(ROOT / "proto", Path(name))
        except GenerationError as error:
            return str(error)
        lines = drift(ROOT, Path(name))
    return "\n".join([*lines, "run `make generate`"]) if lines else ""


def _mypy() -> str:
    return "\n".join(filter(None, (_types_of(run) for run in type_runs(ROOT))))


@dataclass(frozen=True, slots=True)
class TypeRun:
    """One run of mypy: what it checks, and a folder whose modules it also finds."""

    paths: tuple[str, ...]
    base: str = ""


def type_runs(root: Path) -> list[TypeRun]:
    """How mypy sees all the code that is written by hand, and the generated stubs.

    Each folder of tests is a run of its own: tests of different packages have
    modules of one name, as every conftest.py is, and mypy takes a name once.
    """
    patterns = (*_SOURCES, *_GENERATED)
    sources = sorted(str(path.relative_to(root)) for p in patterns for path in root.glob(p))
    tests = sorted(path.relative_to(root) for p in _TESTS for path in root.glob(p))
    runs = [TypeRun(tuple(sources))]
    for folder in tests:
        if any((root / folder).rglob("*.py")):
            # Seen from its parent: a relative import among tests stays in the folder.
            runs.append(TypeRun((str(folder),), str(folder.parent)))
    return runs


def _types_of(run: TypeRun) -> str:
    arguments = ("--cache-dir", ".cache/mypy", "--no-error-summary", *run.paths)
    return _run("mypy", *arguments, MYPYPATH=str(ROOT / run.base) if run.base else "")


if __name__ == "__main__":
    main()
