"""A Cosmos DB database of these tests' own, on the stand-in or TEST_COSMOSDB_URL's account."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from azure.cosmos.aio import CosmosClient
from azure.cosmos.cosmos_client import CosmosClient as BlockingClient
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from cosmos_faults import Place


@pytest.fixture(scope="session")
def cosmos_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A database for this process' tests, deleted after them."""
    account = request.getfixturevalue("cosmosdb")
    place = Place(account.url, account.key, f"nexpo-test-{uuid.uuid4().hex[:12]}")
    yield place
    _drop(place)


@pytest.fixture
def empty_place(cosmos_place: Place) -> Iterator[Place]:
    """A database that is not there yet, deleted after the test."""
    empty = Place(cosmos_place.url, cosmos_place.key, f"nexpo-test-{uuid.uuid4().hex[:12]}")
    yield empty
    _drop(empty)


@pytest.fixture
async def admin(cosmos_place: Place) -> AsyncIterator[CosmosClient]:
    """The SDK's client, past the provider."""
    async with CosmosClient(cosmos_place.url, cosmos_place.key) as client:
        yield client


def _drop(place: Place) -> None:
    with BlockingClient(place.url, place.key) as client:
        try:
            client.delete_database(place.database)
        except CosmosResourceNotFoundError:
            return


@pytest.fixture
def only_stand_in() -> None:
    """Skips the test where faults cannot be made."""
    if os.environ.get("TEST_COSMOSDB_URL"):
        pytest.skip("A real account has no fault end point.")
