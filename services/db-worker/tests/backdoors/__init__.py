"""What tests do to databases past the service, as other programs and old versions do.

One module a kind of engine; it offers `place`, where the tests' server is, and `BackDoor`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import pytest

from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.engine import DatabaseEntry


class BackDoor(Protocol):
    """A way into a database of one kind."""

    async def dump(self, table: Table, tenant: str) -> str:
        """All that the database keeps of a tenant in a table."""

    async def age(self, table: Table, tenant: str) -> None:
        """Makes a tenant's tombstones 8 days old."""

    async def plant(self, table: Table, name: str, column: str, value: Any) -> None:
        """Overwrites one column of a live row; a JSON column as the database keeps JSON."""


def place_of(kind: str, request: pytest.FixtureRequest) -> AbstractContextManager[DatabaseEntry]:
    """A database for this process' tests, on the tests' server."""
    place = importlib.import_module(f"backdoors.{kind}").place
    return cast(AbstractContextManager[DatabaseEntry], place(request))


def back_door(entry: DatabaseEntry) -> BackDoor:
    """The way into a database."""
    options: Mapping[str, str] = entry.options
    return cast(BackDoor, importlib.import_module(f"backdoors.{entry.kind}").BackDoor(options))
