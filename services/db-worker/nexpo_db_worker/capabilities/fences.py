"""Effects that land once, and never after they were undone."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from nexpo_db_worker.capabilities.rows import Row, Values


class Taken(Exception):
    """Another live row of the tenant has the value of a unique column.

    Attributes:
        column: Which.
    """

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class Fences(Protocol):
    """A table's rows, each effect fenced by its key.

    A row and its fence are one: undoing replaces the row by a tombstone under the same
    unique key, in one atomic write, so a creation that lands later meets it and ends as
    FENCED. Tombstones hold no personal data, are invisible to reads, and are purged after
    their time.

    Every method may raise a Fault with STORE_UNAVAILABLE, STORE_THROTTLED, STORE_DENIED or
    STORE_REFUSED besides what it names. Drivers' own errors never leave an engine.
    """

    async def create(self, tenant: str, key: str, values: Values) -> Row:
        """Writes a row, or returns the one that the key wrote before.

        Args:
            tenant: Whose row.
            key: The effect's.
            values: By column, all of them.

        Raises:
            Taken: Another live row has a value that must be unique.
            Fault: FENCED when the key was undone.
        """

    async def remove(self, tenant: str, key: str) -> None:
        """Undoes `create` under the key, also one that has not landed yet."""

    async def erase(self, tenant: str, name: str) -> None:
        """Replaces the live row that `name` identifies, if there is one, by a tombstone."""

    async def purge(self, before: datetime) -> int:
        """Deletes tombstones that were made before, at most 1,000; returns how many.

        Transactions are short: a purge holds up nobody.
        """
