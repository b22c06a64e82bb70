"""PostgreSQL, over asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nexpo_db_worker.providers.postgres.database import Database
from nexpo_db_worker.providers.postgres.users import PostgresUsers


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[PostgresUsers]:
    """Opens the store; the database is met, and migrated, at the first call.

    Args:
        url: "postgresql://user:password@host:port/database".
    """
    async with Database.open(url) as database:
        yield PostgresUsers(database)
