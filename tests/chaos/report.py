"""Figures of a run: a table for people, JSON with the commit's hash under build/."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str:
    """Hash of the commit, with "+" behind it when files have changed since."""
    head = _git("rev-parse", "HEAD")
    return head + ("+" if head and _git("status", "--porcelain", "--untracked-files=no") else "")


def write(name: str, figures: Mapping[str, object]) -> Path:
    """Write figures to build/{name}.json."""
    target = ROOT / "build" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    about = {
        "commit": commit(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "command": " ".join(sys.argv),
    }
    target.write_text(json.dumps({**about, **figures}, indent=2) + "\n")
    return target


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
