"""A session's transaction, with T-SQL's rules over PostgreSQL's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from nexpo_standins.sqlserver import tokens
from nexpo_standins.sqlserver.errors import (
    BackendLost,
    SqlError,
    duplicate_in_index,
    from_postgres,
    unknown,
)
from nexpo_standins.sqlserver.tokens import Change

_GOING_DOWN = ("57P01", "57P02", "57P03")
_SAVEPOINT = "before_statement"
_LEVELS = {
    "READ UNCOMMITTED": "READ COMMITTED",
    "READ COMMITTED": "READ COMMITTED",
    "REPEATABLE READ": "REPEATABLE READ",
    "SNAPSHOT": "REPEATABLE READ",
    "SERIALIZABLE": "SERIALIZABLE",
}


@dataclass
class Transaction:
    """Counts BEGINs, and keeps a failed statement from failing the transaction.

    PostgreSQL fails the whole transaction with any statement. T-SQL does so only
    with XACT_ABORT ON; with OFF a savepoint stands before each statement.

    Attributes:
        backend: The session's connection to PostgreSQL.
        count: @@TRANCOUNT.
        xact_abort: Whether any error rolls the transaction back.
    """

    backend: asyncpg.Connection
    count: int = 0
    xact_abort: bool = False
    _level: str = "READ COMMITTED"
    _descriptor: int = 0
    _changes: bytearray = field(default_factory=bytearray)

    def set_level(self, level: str) -> None:
        """The isolation level of transactions that begin from now on."""
        if level not in _LEVELS:
            raise unknown(f"the isolation level {level}")
        self._level = _LEVELS[level]

    def take_changes(self) -> bytes:
        """ENVCHANGE tokens of what began and ended since the last call."""
        changes = bytes(self._changes)
        self._changes.clear()
        return changes

    async def begin(self) -> None:
        """BEGIN; an inner one only counts."""
        if self.count == 0:
            await self._command(f"BEGIN ISOLATION LEVEL {self._level}")
            self._descriptor += 1
            self._changes += tokens.changed_bytes(Change.BEGIN, self._descriptor_bytes())
        self.count += 1

    async def commit(self) -> None:
        """COMMIT; an inner one only counts."""
        if self.count == 0:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no BEGIN TRANSACTION.")
        if self.count > 1:
            self.count -= 1
        else:
            await self._end("COMMIT", Change.COMMIT)

    async def rollback(self) -> None:
        """ROLLBACK, also of the outer ones."""
        if self.count == 0:
            raise SqlError(3903, "The ROLLBACK TRANSACTION request has no BEGIN TRANSACTION.")
        await self._end("ROLLBACK", Change.ROLLBACK)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[None]:
        """Around one statement.

        Raises:
            SqlError: For each of PostgreSQL's errors, with the transaction as T-SQL
                leaves it.
            BackendLost: PostgreSQL is gone.
        """
        savepoint = self.count > 0 and not self.xact_abort
        if savepoint:
            await self._command(f"SAVEPOINT {_SAVEPOINT}")
        try:
            with lost_when_closed(self.backend):
                yield
        except asyncpg.PostgresError as raised:
            error = from_postgres(raised)
            await self._recover(savepoint and not error.ends_transaction)
            raise await self._named(error) from None
        except (SqlError, asyncio.CancelledError):
            await self._recover(savepoint)
            raise
        if savepoint:
            await self._command(f"RELEASE {_SAVEPOINT}")

    async def _recover(self, savepoint: bool) -> None:
        if savepoint:
            await self._command(f"ROLLBACK TO {_SAVEPOINT}")
        elif self.count:
            await self._end("ROLLBACK", Change.ROLLBACK)

    async def _named(self, error: SqlError) -> SqlError:
        """2601 instead of 2627 where the duplicate is in an index without a constraint."""
        if not error.duplicate_of:
            return error
        query = "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = $1)"
        with lost_when_closed(self.backend):
            constraint = await self.backend.fetchval(query, error.duplicate_of)
        return error if constraint else duplicate_in_index(error)

    async def _end(self, command: str, change: Change) -> None:
        self.count = 0
        descriptor = self._descriptor_bytes()
        try:
            await self._command(command)
        except asyncpg.PostgresError as raised:
            self._changes += tokens.changed_bytes(Change.ROLLBACK, b"", descriptor)
            raise from_postgres(raised) from None
        self._changes += tokens.changed_bytes(change, b"", descriptor)

    async def _command(self, sql: str) -> None:
        try:
            with lost_when_closed(self.backend):
                await self.backend.execute(sql)
        except asyncio.CancelledError:
            # Whether it took effect is not known: say so as a network does.
            raise BackendLost from None

    def _descriptor_bytes(self) -> bytes:
        return self._descriptor.to_bytes(8, "little")


class lost_when_closed:  # noqa: N801 - reads as a verb in a with statement
    """Turns whatever a closed connection raises into BackendLost."""

    def __init__(self, backend: asyncpg.Connection) -> None:
        self._backend = backend

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        gone = isinstance(error, asyncpg.PostgresError) and error.sqlstate in _GOING_DOWN
        if isinstance(error, Exception) and (gone or self._backend.is_closed()):
            raise BackendLost from error
