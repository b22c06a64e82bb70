"""`make lint`: every static check of the workspace, each with its own verdict.

mypy takes most of the time and one core, so it runs beside all the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from mypy.find_sources import create_source_list
from mypy.options import Options

from nexpo_tools import buf
from nexpo_tools.generate import ROOT, GenerationError, drift, generate
from nexpo_tools.workflow_rules import check_workflows

# Generated code has no style and no types of its own to check but the stubs'.
_TYPED = ("conftest.py", "shared/runtime", "services", "clients/cli", "dev", "tests", "tools")
_TYPED_GENERATED = ("shared/contracts/nexpo",)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a check ended: its name, what it found (nothing: passed), seconds."""

    name: str
    findings: str
    seconds: float


def main() -> None:
    """Runs every check; exits with 1 when one found something."""
    alongside: dict[str, Callable[[], str]] = {
        "format": lambda: _run("ruff", "format", "--check", "--quiet", "--diff", "."),
        "ruff": lambda: _run("ruff", "check", "--quiet", "."),
        "buf lint": lambda: buf.lint(ROOT),
        "buf breaking": lambda: buf.breaking(ROOT),
        "generated": _drift,
        "imports": lambda: _run("lint-imports", "--cache-dir", ".cache/import-linter"),
        "workflows": lambda: "\n".join(map(str, check_workflows(ROOT))),
    }
    with ThreadPoolExecutor(max_workers=2) as pool:
        types = pool.submit(_verdict, "mypy", _mypy)
        others = [pool.submit(_verdict, name, check) for name, check in alongside.items()]
        verdicts = [future.result() for future in (*others, types)]
    for verdict in verdicts:
        word = "FAILED" if verdict.findings else "ok"
        print(f"{verdict.name:<14}{word:<8}{verdict.seconds:5.1f} s")
    failed = [verdict for verdict in verdicts if verdict.findings]
    for verdict in failed:
        print(f"\n--- {verdict.name}\n{verdict.findings}")
    sys.exit(1 if failed else 0)


def _verdict(name: str, check: Callable[[], str]) -> Verdict:
    start = monotonic()
    return Verdict(name, check(), monotonic() - start)


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / program), *arguments],
        cwd=ROOT,
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
    findings = []
    for files in mypy_rounds(ROOT):
        findings.append(_run("mypy", "--cache-dir", ".cache/mypy", "--no-error-summary", *files))
    return "\n".join(filter(None, findings))


def mypy_rounds(root: Path) -> Iterable[list[str]]:
    """Splits what mypy must see so that no round holds two modules of one name.

    Tests of different services may have the same module name, as every
    conftest.py does, and mypy refuses to see two at once.
    """
    options = Options()
    options.namespace_packages = options.explicit_package_bases = True
    options.mypy_path = [str(root / base) for base in _bases(root)]
    paths = [str(root / p) for p in (*_TYPED, *_TYPED_GENERATED) if (root / p).exists()]
    rounds: list[dict[str, str]] = []
    for source in create_source_list(paths, options):
        if source.path is None or "node_modules" in source.path:
            continue
        free = next((seen for seen in rounds if source.module not in seen), None)
        if free is None:
            rounds.append(free := {})
        free[source.module] = os.path.relpath(source.path, root)
    return [list(seen.values()) for seen in rounds]


def _bases(root: Path) -> list[str]:

    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    path: str = settings["tool"]["mypy"]["mypy_path"]
    return path.split(":")


if __name__ == "__main__":
    main()
