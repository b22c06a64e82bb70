"""MongoDB, over motor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nexpo_db_worker.providers.mongodb.database import Database
from nexpo_db_worker.providers.mongodb.users import MongoUsers


@asynccontextmanager
async def open_mongodb(url: str) -> AsyncIterator[MongoUsers]:
    """Opens the store; the database is met, and given its indexes, at the first call.

    Args:
        url: "mongodb://user:password@host:port/database".
    """
    async with Database.open(url) as database:
        yield MongoUsers(database)
