"""The stand-in, or TEST_COSMOSDB_URL's account, through the real SDK.

What only the stand-in can do asks for `stand_in`, and is skipped on a real account.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy

from nexpo_dev.pytest_plugin import CosmosAddress


@pytest.fixture
def stand_in(cosmosdb: CosmosAddress) -> CosmosAddress:
    """The stand-in's address."""
    if os.environ.get("TEST_COSMOSDB_URL"):
        pytest.skip("Only the stand-in can do that.")
    return cosmosdb


@pytest.fixture
async def client(cosmosdb: CosmosAddress) -> AsyncIterator[CosmosClient]:
    """A client that does not retry."""
    async with CosmosClient(cosmosdb.url, cosmosdb.key, retry_total=0) as client:
        yield client


@pytest.fixture
async def database(client: CosmosClient) -> AsyncIterator[DatabaseProxy]:
    """A database of the test's own."""
    database = await client.create_database(f"test-{uuid.uuid4().hex}")
    yield database
    await client.delete_database(database)


@pytest.fixture
async def container(database: DatabaseProxy) -> ContainerProxy:
    """A container partitioned by /tenant, with a unique /email."""
    unique: Any = {"uniqueKeys": [{"paths": ["/email"]}]}
    indexing: Any = {
        "includedPaths": [{"path": "/*"}],
        "excludedPaths": [{"path": "/secret/*"}],
        "compositeIndexes": [
            [{"path": "/n", "order": "ascending"}, {"path": "/id", "order": "ascending"}]
        ],
    }
    return await database.create_container(
        "users", PartitionKey("/tenant"), unique_key_policy=unique, indexing_policy=indexing
    )
