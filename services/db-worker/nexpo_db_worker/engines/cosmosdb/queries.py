"""Looks into a container of Cosmos DB, always in one tenant's partition."""

from __future__ import annotations

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.cosmosdb.documents import Document

LIVE = "NOT IS_DEFINED(c.removed_time)"


async def found(
    container: ContainerProxy, query: str, tenant: str, **values: object
) -> list[Document]:
    """All that a query finds; `values` are its parameters."""
    parameters = [{"name": f"@{name}", "value": value} for name, value in values.items()]
    items = container.query_items(
        query, parameters=parameters, partition_key=tenant, max_item_count=1000
    )
    return [document async for document in items]


async def live(container: ContainerProxy, table: Table, tenant: str, name: str) -> Document | None:
    """The live item that `name` identifies."""
    query = f"SELECT * FROM c WHERE c.{table.id} = @name AND {LIVE}"
    documents = await found(container, query, tenant, name=name)
    return documents[0] if documents else None


async def item(container: ContainerProxy, own_id: str, tenant: str) -> Document | None:
    """What the container has under an id."""
    try:
        return await container.read_item(own_id, partition_key=tenant)
    except CosmosResourceNotFoundError:
        return None
