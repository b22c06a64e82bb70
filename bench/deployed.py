"""Services as they are deployed: they see only what their own lock holds.

The environment of development holds far more, and some libraries load whatever
they find: import time and memory would be those of the environment.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nexpo_dev.service import Service

from .alone import HIDDEN
from .machine import ROOT

# Parts of these come from many distributions, ours among them.
_SHARED = frozenset({"google", "grpc", "bench"})


class Deployed(Service):
    """A service of the house, run by `bench.alone`."""

    def command(self) -> Sequence[str | Path]:
        """python -m bench.alone nexpo_..."""
        *python, module = super().command()
        return [*python, "bench.alone", module]

    def environment(self) -> Mapping[str, str] | None:
        """Its own, and what to hide."""
        return {**(super().environment() or {}), **hiding(self.name)}


@functools.cache
def hiding(service: str) -> Mapping[str, str]:
    """The environment in which `bench.alone` hides what the service's lock does not hold."""
    lock = ROOT / "services" / service / "requirements.txt"
    locked = {_plain(name) for name in re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE)}
    hidden = [
        module
        for module, distributions in _installed().items()
        if module not in _SHARED
        and not any(
            _plain(name) in locked or _plain(name).startswith("nexpo") for name in distributions
        )
    ]
    return {HIDDEN: ",".join(sorted(hidden)), "PYTHONPATH": str(ROOT)}


@functools.cache
def _installed() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _plain(distribution: str) -> str:
    """The name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
