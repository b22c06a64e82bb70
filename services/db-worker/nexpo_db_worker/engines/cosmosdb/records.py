"""Records in Cosmos DB."""

from __future__ import annotations

from collections.abc import Collection

from azure.core import MatchConditions
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Place, Row, Values
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.cosmosdb.connection import Account
from nexpo_db_worker.engines.cosmosdb.documents import fields, read, time_text
from nexpo_db_worker.engines.cosmosdb.queries import LIVE, found, live

_TRIES = 5  # when others change what was just read


class CosmosRecords:
    """See Records."""

    def __init__(self, account: Account, table: Table) -> None:
        self._account = account
        self._table = table
        first, then = f"c.{table.order}", f"c.{table.id}"
        order = f"ORDER BY {first}, {then}"
        behind = f"({first} > @time OR ({first} = @time AND {then} > @name))"
        self._first_page = f"SELECT TOP @limit * FROM c WHERE {LIVE} {order}"
        self._page = f"SELECT TOP @limit * FROM c WHERE {LIVE} AND {behind} {order}"

    async def get(self, tenant: str, name: str) -> Row | None:
        """See Records."""
        async with self._account.container(self._table) as container:
            one = await live(container, self._table, tenant, name)
        return None if one is None else read(self._table, one)

    async def page(self, tenant: str, after: Place | None, limit: int) -> list[Row]:
        """See Records."""
        if limit < 1:
            return []
        values: dict[str, object] = {"limit": limit}
        if after is not None:
            values |= {"time": time_text(after.time), "name": after.id}
        query = self._first_page if after is None else self._page
        async with self._account.container(self._table) as container:
            documents = await found(container, query, tenant, **values)
        return [read(self._table, document) for document in documents]

    async def replace(self, tenant: str, values: Values, expected: Collection[str]) -> str | None:
        """See Records."""
        table, changes = self._table, fields(values)
        async with self._account.container(table) as container:
            for _ in range(_TRIES):
                before = await live(container, table, tenant, values[table.id])
                if before is None:
                    return None
                etag: str = before[table.etag]
                if etag == values[table.etag] or etag not in expected:
                    return etag
                kept = {name: value for name, value in before.items() if name[0] != "_"}
                try:
                    await container.replace_item(
                        before["id"],
                        {**kept, **changes},
                        etag=before["_etag"],
                        match_condition=MatchConditions.IfNotModified,
                    )
                except CosmosResourceExistsError:
                    # The service tells not which: of the row's keys its id stays as it is.
                    raise Taken(table.keys[0]) from None
                except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
                    continue  # it has changed since it was read: read it again
                return str(values[table.etag])
        raise self._account.origin.fault(Reason.REASON_STORE_UNAVAILABLE)
