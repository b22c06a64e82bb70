"""Applies migrations to a PostgreSQL database: each once, in order, whoever comes first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from nexpo_db_worker.engines.migrations import STEP_S, Migration, missing, running

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
    connection: asyncpg.Connection, migrations: Sequence[Migration], after: str | None = None
) -> list[str]:
    """Applies those that the database has not seen, all or none.

    Args:
        connection: A connection outside a transaction.
        migrations: SQL, in order.
        after: SQL that runs after them in the same transaction, whenever one was applied.

    Returns:
        Names of those that were applied now.

    Raises:
        asyncpg.PostgresError: The database refused one.
    """
    # Looked up first, so that a role without the right to create tables can work
    # on a database that somebody else has migrated.
    # Nothing but transactions: a pooler may give each to another connection.
    async with connection.transaction():
        applied = await _applied(connection)
    if not missing(migrations, applied):
        return []
    async with alone(connection):
        await connection.execute(_LEDGER, timeout=_WAIT_S)
        new = missing(migrations, await _applied(connection))
        for step in new:
            with running(step):
                await connection.execute(step.text, timeout=STEP_S)
            await connection.execute("INSERT INTO nexpo_migrations (name) VALUES ($1)", step.name)
        if new and after is not None:
            await connection.execute(after, timeout=_WAIT_S)
    return [step.name for step in new]


async def _applied(connection: asyncpg.Connection) -> set[str]:
    if await connection.fetchval("SELECT to_regclass('nexpo_migrations')") is None:
        return set()
    return {row["name"] for row in await connection.fetch("SELECT name FROM nexpo_migrations")}
