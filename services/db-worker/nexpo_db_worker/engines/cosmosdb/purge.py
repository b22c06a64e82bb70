"""Deletes old tombstones of all tenants."""

from __future__ import annotations

import asyncio
from datetime import datetime

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosResourceNotFoundError

from nexpo_db_worker.engines.cosmosdb.documents import Document, time_text

# A round stays well within the time of a call; deletions cost capacity others need.
_BATCH = 200
_AT_ONCE = 8
_OLD = "SELECT c.id, c.tenant, c._etag FROM c WHERE c.removed_time < @before"


async def purge_tombstones(container: ContainerProxy, before: datetime) -> int:
    """Deletes at most a batch of tombstones that were made before; returns how many.

    Raises:
        azure.core.exceptions.AzureError: Some may be deleted, some not.
    """
    parameters: list[dict[str, object]] = [{"name": "@before", "value": time_text(before)}]
    # Over all partitions, so neither TOP nor ORDER BY: those would need a query plan.
    pages = container.query_items(_OLD, parameters=parameters, max_item_count=_BATCH).by_page()
    old: list[Document] = []
    async for page in pages:
        old += [document async for document in page]
        if len(old) >= _BATCH:
            break
    gate = asyncio.Semaphore(_AT_ONCE)
    outcomes = await asyncio.gather(
        *(_delete(container, document, gate) for document in old[:_BATCH]), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes.count(True)


async def _delete(container: ContainerProxy, old: Document, gate: asyncio.Semaphore) -> bool:
    async with gate:
        try:
            await container.delete_item(
                old["id"],
                partition_key=old["tenant"],
                etag=old["_etag"],
                match_condition=MatchConditions.IfNotModified,
            )
        except (CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            return False  # another worker was first, or the undo came once more
        return True
