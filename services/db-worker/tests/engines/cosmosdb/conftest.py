"""A Cosmos DB database of these tests' own, on the stand-in or TEST_COSMOSDB_URL's account."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from azure.cosmos.aio import CosmosClient
from backdoors import place_of
from cosmos_faults import Place


@pytest.fixture(scope="session")
def cosmos_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A database for this process' tests, deleted after them."""
    with place_of("cosmosdb", request) as entry:
        yield Place(**entry.options)


@pytest.fixture
def empty_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A database that is not there yet, deleted after the test."""
    with place_of("cosmosdb", request) as entry:
        yield Place(**entry.options)


@pytest.fixture
async def admin(cosmos_place: Place) -> AsyncIterator[CosmosClient]:
    """The SDK's client, past the engine."""
    async with CosmosClient(cosmos_place.url, cosmos_place.key) as client:
        yield client


@pytest.fixture
def only_stand_in() -> None:
    """Skips the test where faults cannot be made."""
    if os.environ.get("TEST_COSMOSDB_URL"):
        pytest.skip("A real account has no fault end point.")
