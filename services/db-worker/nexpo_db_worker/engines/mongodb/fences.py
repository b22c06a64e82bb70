"""Fences in MongoDB, each effect one write of one document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Row, Values, new_row
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.mongodb.connection import Client
from nexpo_db_worker.engines.mongodb.documents import Document, document, live, read

_PURGE_BATCH = 1000


class MongoFences:
    """See Fences."""

    def __init__(self, client: Client, table: Table) -> None:
        self._client = client
        self._table = table

    async def create(self, tenant: str, key: str, values: Values) -> Row:
        """See Fences."""
        table = self._table
        written = {"tenant": tenant, "key": key, "live": True, **document(table, values)}
        while True:
            async with self._client.documents() as database:
                try:
                    result = await database[table.name].insert_one(dict(written))
                    return new_row(table, str(result.inserted_id), values)
                except DuplicateKeyError as error:
                    taken = taken_column(table, error)
                first = await _confirmed(database[table.name], tenant, key)
            if first is not None:
                if not first["live"]:
                    raise self._client.origin.fault(Reason.REASON_FENCED)
                return read(table, first)
            if taken:
                raise Taken(taken)
            # The key's tombstone was purged in between: once more.

    async def remove(self, tenant: str, key: str) -> None:
        """See Fences."""
        tombstone = {
            "tenant": tenant,
            "key": key,
            "live": False,
            "removed_time": datetime.now(UTC),
        }
        while True:
            async with self._client.documents() as database:
                try:
                    await database[self._table.name].replace_one(
                        {"tenant": tenant, "key": key}, dict(tombstone), upsert=True
                    )
                    return
                except DuplicateKeyError:
                    pass  # a creation landed between the upsert's look and its insert

    async def erase(self, tenant: str, name: str) -> None:
        """See Fences."""
        async with self._client.documents() as database:
            query = live(tenant, **{self._table.id: name})
            found = await database[self._table.name].find_one(query, {"key": 1})
        if found is not None:
            await self.remove(tenant, found["key"])

    async def purge(self, before: datetime) -> int:
        """See Fences."""
        old = {"live": False, "removed_time": {"$lt": before}}
        async with self._client.documents() as database:
            collection = database[self._table.name]
            cursor = collection.find(old, {"_id": 1}).limit(_PURGE_BATCH)
            batch = [found["_id"] for found in await cursor.to_list(_PURGE_BATCH)]
            result = await collection.delete_many({"_id": {"$in": batch}, **old})
        return result.deleted_count


def taken_column(table: Table, error: DuplicateKeyError) -> str:
    """The column whose index refused a document; "" when it was the key's."""
    pattern = (error.details or {}).get("keyPattern") or {}
    return next((column for column in table.keys if column in pattern), "")


async def _confirmed(collection: Any, tenant: str, key: str) -> Document | None:
    """What the key wrote. The write that changes nothing waits until that is safe."""
    found: Document | None = await collection.find_one_and_update(
        {"tenant": tenant, "key": key}, {"$set": {"tenant": tenant}}
    )
    return found
