"""What the services of the house are made of, whichever there are."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from nexpo_runtime.worker.discovery import discover
from nexpo_runtime.workflow.operation import Operation

PACKAGES = [
    importlib.import_module(folder.name)
    for folder in sorted(Path(__file__).parents[1].glob("services/*/nexpo_*"))
]
WORKFLOWS: list[type[Operation[Any, Any]]] = [
    workflow for package in PACKAGES for workflow in discover(package).workflows
]
