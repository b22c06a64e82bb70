"""The databases that are configured, whether they are on or off."""

from __future__ import annotations

from dataclasses import dataclass

from nexpo_db_worker.engines.engine import DatabaseEntry


@dataclass(frozen=True, slots=True)
class Configured:
    """A database as it is configured.

    Attributes:
        kind: Its engine's.
        entry: How to open it; None while it is off.
        off: Why it is off, and what would switch it on.
    """

    kind: str
    entry: DatabaseEntry | None = None
    off: str = ""
