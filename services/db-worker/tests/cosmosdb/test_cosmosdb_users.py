"""Cosmos DB keeps users as every store must, and its own promises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.cosmos.aio import CosmosClient
from cosmos_faults import Place
from tcp_proxy import TcpProxy
from user_store_contract import Age, Distant, Dump, UserStoreContract

from nexpo_db_worker.providers.cosmosdb import open_cosmosdb
from nexpo_db_worker.providers.cosmosdb.documents import time_text
from nexpo_db_worker.stores import UserStore


@pytest.fixture
async def store(cosmos_place: Place) -> AsyncIterator[UserStore]:
    async with open_cosmosdb(cosmos_place.url, cosmos_place.key, cosmos_place.database) as store:
        yield store


@pytest.fixture
async def dump(cosmos_place: Place, admin: CosmosClient) -> Dump:
    database = admin.get_database_client(cosmos_place.database)

    async def everything(tenant: str) -> str:
        texts = []
        for name in ("users", "claims"):
            items = database.get_container_client(name).query_items(
                "SELECT * FROM c", partition_key=tenant
            )
            texts += [json.dumps(item, ensure_ascii=False) async for item in items]
        return "\n".join(texts)

    return everything


@pytest.fixture
async def age(cosmos_place: Place, admin: CosmosClient) -> Age:
    database = admin.get_database_client(cosmos_place.database)

    async def eight_days(tenant: str) -> None:
        past = time_text(datetime.now(UTC) - timedelta(days=8))
        for name in ("users", "claims"):
            container = database.get_container_client(name)
            items = container.query_items("SELECT * FROM c", partition_key=tenant)
            async for item in items:
                if "removed_time" in item:
                    await container.replace_item(item["id"], {**item, "removed_time": past})

    return eight_days


@pytest.fixture
async def distant(cosmos_place: Place) -> AsyncIterator[Distant]:
    if not cosmos_place.url.startswith("http://"):
        pytest.skip("A proxy cannot carry TLS under another name.")
    async with TcpProxy.before(cosmos_place.url) as proxy:
        url = proxy.through(cosmos_place.url)
        async with open_cosmosdb(url, cosmos_place.key, cosmos_place.database) as store:
            yield Distant(store, proxy)


class TestCosmosUsers(UserStoreContract):
    """The contract of every store."""
