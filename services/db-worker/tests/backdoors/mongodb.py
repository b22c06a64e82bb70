"""MongoDB, by its own driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection

from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.mongodb.documents import field_of


@contextmanager
def place(request: pytest.FixtureRequest) -> Iterator[DatabaseEntry]:
    url = request.getfixturevalue("mongodb_url")
    yield DatabaseEntry("mongodb", "mongodb", {"url": url})


class BackDoor:
    """See BackDoor."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._url = options["url"]

    async def dump(self, table: Table, tenant: str) -> str:
        with self._collection(table) as collection:
            return str(await collection.find({"tenant": tenant}).to_list(None))

    async def age(self, table: Table, tenant: str) -> None:
        past = datetime.now(UTC) - timedelta(days=8)
        with self._collection(table) as collection:
            await collection.update_many(
                {"tenant": tenant, "live": False}, {"$set": {"removed_time": past}}
            )

    async def plant(self, table: Table, name: str, column: str, value: Any) -> None:
        with self._collection(table) as collection:
            await collection.update_one(
                {table.id: name}, {"$set": {field_of(table, column): value}}
            )

    @contextmanager
    def _collection(self, table: Table) -> Iterator[AsyncIOMotorCollection[dict[str, Any]]]:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(self._url)
        try:
            yield client.get_default_database()[table.name]
        finally:
            client.close()
