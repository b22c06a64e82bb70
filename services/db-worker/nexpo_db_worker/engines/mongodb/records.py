"""Records in MongoDB."""

from __future__ import annotations

from collections.abc import Collection

from pymongo.errors import DuplicateKeyError

from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Place, Row, Values
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.mongodb.connection import Client
from nexpo_db_worker.engines.mongodb.documents import document, field_of, live, microseconds, read
from nexpo_db_worker.engines.mongodb.fences import taken_column


class MongoRecords:
    """See Records."""

    def __init__(self, client: Client, table: Table) -> None:
        self._client = client
        self._table = table
        self._order = field_of(table, table.order)

    async def get(self, tenant: str, name: str) -> Row | None:
        """See Records."""
        async with self._client.documents() as database:
            query = live(tenant, **{self._table.id: name})
            found = await database[self._table.name].find_one(query)
        return None if found is None else read(self._table, found)

    async def page(self, tenant: str, after: Place | None, limit: int) -> list[Row]:
        """See Records."""
        query, table = live(tenant), self._table
        if after is not None:
            time = microseconds(after.time)
            query["$or"] = [
                {self._order: {"$gt": time}},
                {self._order: time, table.id: {"$gt": after.id}},
                # What others wrote there: comparisons pass over it, the order has it last.
                {self._order: {"$type": ["string", "object", "array", "bool", "date"]}},
            ]
        async with self._client.documents() as database:
            cursor = database[table.name].find(query).sort({self._order: 1, table.id: 1})
            return [read(table, found) for found in await cursor.limit(limit).to_list(limit)]

    async def replace(self, tenant: str, values: Values, expected: Collection[str]) -> str | None:
        """See Records."""
        table = self._table
        query, changes = live(tenant, **{table.id: values[table.id]}), document(table, values)
        new: str = values[table.etag]
        while True:
            async with self._client.documents() as database:
                collection = database[table.name]
                found = await collection.find_one(query, {table.etag: 1})
                if found is None:
                    return None
                etag: str = found[table.etag]
                if etag not in (new, *expected):
                    return etag
                # What this replacement wrote before is written once more: that waits until it is
                # safe. By _id, which every planner finds whatever else is asked for.
                same = {"_id": found["_id"], "live": True, table.etag: etag}
                try:
                    written = await collection.update_one(same, {"$set": changes})
                except DuplicateKeyError as error:
                    raise Taken(taken_column(table, error)) from None
            if written.matched_count:
                return new
            # Somebody changed it between the look and the write: look again.
