"""Fences in Cosmos DB, each effect one write of one item."""

from __future__ import annotations

from datetime import datetime

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceExistsError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Row, Values
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.cosmosdb.connection import Account
from nexpo_db_worker.engines.cosmosdb.documents import (
    Document,
    fields,
    is_tombstone,
    item_id,
    read,
    tombstone,
)
from nexpo_db_worker.engines.cosmosdb.purge import purge_tombstones
from nexpo_db_worker.engines.cosmosdb.queries import found, item, live

_TRIES = 5  # when others change what was just read


class CosmosFences:
    """See Fences."""

    def __init__(self, account: Account, table: Table) -> None:
        self._account = account
        self._table = table
        columns = ", ".join(f"c.{column}" for column in table.keys)
        same = " OR ".join(f"c.{column} = @{column}" for column in table.keys)
        self._others = f"SELECT {columns} FROM c WHERE {same}"

    async def create(self, tenant: str, key: str, values: Values) -> Row:
        """See Fences."""
        document = {"id": item_id(key), "tenant": tenant, **fields(values)}
        async with self._account.container(self._table) as container:
            for _ in range(_TRIES):
                try:
                    return read(self._table, await container.create_item(document))
                except CosmosResourceExistsError:
                    first = await self._first(container, document)
                if first is not None:
                    return first
                # Who stood in the way is gone already: once more.
        raise self._account.origin.fault(Reason.REASON_STORE_UNAVAILABLE)

    async def remove(self, tenant: str, key: str) -> None:
        """See Fences."""
        async with self._account.container(self._table) as container:
            await container.upsert_item(tombstone(self._table, tenant, item_id(key)))

    async def erase(self, tenant: str, name: str) -> None:
        """See Fences."""
        async with self._account.container(self._table) as container:
            # Without If-Match: an item of this id is this row or a tombstone, for good.
            one = await live(container, self._table, tenant, name)
            if one is not None:
                await container.upsert_item(tombstone(self._table, tenant, one["id"]))

    async def purge(self, before: datetime) -> int:
        """See Fences; at most 200 a call."""
        async with self._account.container(self._table) as container:
            return await purge_tombstones(container, before)

    async def _first(self, container: ContainerProxy, document: Document) -> Row | None:
        """Why an item could not be created: the key's own item, or None when nothing is left.

        The service answers one status for an id and for every unique key.
        """
        own = await item(container, document["id"], document["tenant"])
        if own is not None:
            if is_tombstone(own):
                raise self._account.origin.fault(Reason.REASON_FENCED)
            return read(self._table, own)
        if not self._table.unique:
            raise Taken(self._table.id)
        values = {column: document[column] for column in self._table.keys}
        others = await found(container, self._others, document["tenant"], **values)
        for column in self._table.keys:
            if any(other[column] == document[column] for other in others):
                raise Taken(column)
        return None
