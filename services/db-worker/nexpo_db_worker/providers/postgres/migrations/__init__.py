"""Applies SQL files to a PostgreSQL database: each once, in order, whoever comes first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

FOLDER = Path(__file__).parent
_LOCK = 0x6E6578706F  # "nexpo": the advisory lock that lets one worker at a time migrate
_WAIT_S = 60.0
_LEDGER = """
    CREATE TABLE IF NOT EXISTS nexpo_migrations (
        name text PRIMARY KEY,
        applied_time timestamptz NOT NULL DEFAULT now()
    )
"""


@asynccontextmanager
async def alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction in which no other worker changes the schema."""
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=_WAIT_S)
        yield


async def migrate(
    connection: asyncpg.Connection, files: Sequence[Path], after: str | None = None
) -> list[str]:
    """Applies those of the files that the database has not seen, all or none.

    Args:
        connection: A connection outside a transaction.
        files: SQL files, in order; a file's name is its version.
        after: SQL that runs after them in the same transaction, whenever one was applied.

    Returns:
        Names of the files that were applied now.

    Raises:
        asyncpg.PostgresError: The database refused one.
    """
    # Looked up first, so that a role without the right to create tables can work
    # on a database that somebody else has migrated.
    # Nothing but transactions: a pooler may give each to another connection.
    async with connection.transaction():
        applied = await _applied(connection)
    if {file.name for file in files} <= applied:
        return []
    async with alone(connection):
        await connection.execute(_LEDGER, timeout=_WAIT_S)
        seen = await _applied(connection)
        new = [file for file in files if file.name not in seen]
        for file in new:
            await connection.execute(file.read_text(), timeout=_WAIT_S)
            await connection.execute("INSERT INTO nexpo_migrations (name) VALUES ($1)", file.name)
        if new and after is not None:
            await connection.execute(after, timeout=_WAIT_S)
    return [file.name for file in new]


async def _applied(connection: asyncpg.Connection) -> set[str]:
    if await connection.fetchval("SELECT to_regclass('nexpo_migrations')") is None:
        return set()
    return {row["name"] for row in await connection.fetch("SELECT name FROM nexpo_migrations")}
