"""The databases that are configured, whether they are on or off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexpo_db_worker.databases.opened import Database
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


@dataclass(frozen=True, slots=True)
class Databases:
    """All databases of the service.

    Attributes:
        configured: By id.
        opened: Those that are on, by id.
        authority: The id of the one that decides for users.
    """

    configured: Mapping[str, Configured]
    opened: Mapping[str, Database]
    authority: str
