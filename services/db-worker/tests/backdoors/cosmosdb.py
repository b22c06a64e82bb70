"""Cosmos DB, by its own SDK."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.cosmos_client import CosmosClient as BlockingClient
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.cosmosdb.documents import time_text
from nexpo_db_worker.engines.engine import DatabaseEntry


@contextmanager
def place(request: pytest.FixtureRequest) -> Iterator[DatabaseEntry]:
    """A database of its own, deleted after the tests."""
    account = request.getfixturevalue("cosmosdb")
    name = f"nexpo-test-{uuid.uuid4().hex[:12]}"
    options = {"url": account.url, "key": account.key, "database": name}
    yield DatabaseEntry("cosmosdb", "cosmosdb", options)
    with BlockingClient(account.url, account.key) as client:
        try:
            client.delete_database(name)
        except CosmosResourceNotFoundError:
            return


class BackDoor:
    """See BackDoor."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = options

    async def dump(self, table: Table, tenant: str) -> str:
        async with self._container(table) as container:
            items = container.query_items("SELECT * FROM c", partition_key=tenant)
            return "\n".join([json.dumps(item, ensure_ascii=False) async for item in items])

    async def age(self, table: Table, tenant: str) -> None:
        past = time_text(datetime.now(UTC) - timedelta(days=8))
        removed = "c.tenant = @value AND IS_DEFINED(c.removed_time)"
        await self._overwrite(table, removed, tenant, {"removed_time": past})

    async def plant(self, table: Table, name: str, column: str, value: Any) -> None:
        await self._overwrite(table, f"c.{table.id} = @value", name, {column: value})

    async def _overwrite(
        self, table: Table, condition: str, value: str, fields: dict[str, Any]
    ) -> None:
        async with self._container(table) as container:
            found = container.query_items(
                f"SELECT * FROM c WHERE {condition}",
                parameters=[{"name": "@value", "value": value}],
            )
            async for item in found:
                await container.replace_item(item["id"], {**item, **fields})

    @asynccontextmanager
    async def _container(self, table: Table) -> AsyncIterator[ContainerProxy]:
        async with CosmosClient(self._options["url"], self._options["key"]) as client:
            database = client.get_database_client(self._options.get("database", "nexpo"))
            yield database.get_container_client(table.name)
