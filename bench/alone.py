"""Hides modules: `python -m bench.alone MODULE` runs a service as if they were not installed.

Imports nothing but the standard library: whatever is imported here, the service would seem to need.
"""

from __future__ import annotations

import importlib.abc
import os
import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

HIDDEN = "BENCH_HIDDEN"
"""Variable with the modules to hide, comma-separated."""


class _Hide(importlib.abc.MetaPathFinder):
    def __init__(self, hidden: frozenset[str]) -> None:
        self._hidden = hidden

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in self._hidden:
            raise ModuleNotFoundError(f"{name} is hidden by {HIDDEN}", name=name)
        return None


sys.meta_path.insert(0, _Hide(frozenset(os.environ.get(HIDDEN, "").split(","))))

if __name__ == "__main__":
    _, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
