"""Figures of a proof, with where and of what they were measured, as JSON under build/."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from bench.machine import ROOT, facts

FOLDER = "FIGURES"
"""Variable with the folder to write to, for who tries a command and wants to keep the figures."""


def write(name: str, command: str, figures: Mapping[str, object]) -> Path:
    """Write figures to build/{name}.json, or to the folder that FIGURES names.

    Args:
        name: Of the file.
        command: What a reader runs to get such figures again.
        figures: Whatever JSON can hold.
    """
    target = Path(os.environ.get(FOLDER) or ROOT / "build") / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "command": command,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **facts(),
    }
    target.write_text(json.dumps({**about, **figures}, indent=1) + "\n")
    return target
