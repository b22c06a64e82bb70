"""MongoDB keeps users as every store must, and its own promises."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandListener, CommandStartedEvent
from tcp_proxy import TcpProxy
from user_store_contract import (
    Age,
    Distant,
    Dump,
    UserStoreContract,
    new_key,
    new_record,
    reason_of,
)

from nexpo_db_worker.providers.mongodb.database import Database
from nexpo_db_worker.providers.mongodb.users import MongoUsers
from nexpo_db_worker.stores import UserStore


@pytest.fixture
async def client(mongodb_url: str) -> AsyncIterator[AsyncIOMotorClient[dict[str, Any]]]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongodb_url)
    yield client
    client.close()


@pytest.fixture
async def store(mongodb_url: str) -> AsyncIterator[UserStore]:
    async with Database.open(mongodb_url) as database:
        yield MongoUsers(database)


@pytest.fixture
async def dump(client: AsyncIOMotorClient[dict[str, Any]]) -> Dump:
    async def everything(tenant: str) -> str:
        database = client.get_default_database()
        return str(
            [
                await database[name].find({"tenant": tenant}).to_list(None)
                for name in ("users", "claims")
            ]
        )

    return everything


@pytest.fixture
async def age(client: AsyncIOMotorClient[dict[str, Any]]) -> Age:
    async def eight_days(tenant: str) -> None:
        for name in ("users", "claims"):
            await client.get_default_database()[name].update_many(
                {"tenant": tenant, "live": False},
                {"$set": {"removed_time": datetime.now(UTC) - timedelta(days=8)}},
            )

    return eight_days


@pytest.fixture
async def distant(mongodb_url: str) -> AsyncIterator[Distant]:
    async with (
        TcpProxy.before(mongodb_url) as proxy,
        Database.open(proxy.through(mongodb_url)) as database,
    ):
        yield Distant(MongoUsers(database), proxy)


class TestMongoUsers(UserStoreContract):
    """The contract of every store."""


async def test_workers_that_start_at_once_make_the_indexes_of_an_empty_database(
    mongodb_url: str, client: AsyncIOMotorClient[dict[str, Any]]
) -> None:
    name = f"test_{uuid.uuid4().hex}"
    url = urlunsplit(urlsplit(mongodb_url)._replace(path=f"/{name}"))
    async with AsyncExitStack() as stack:
        stores = [MongoUsers(await stack.enter_async_context(Database.open(url))) for _ in range(6)]
        await asyncio.gather(*(store.ping() for store in stores))
        assert await client[name]["migrations"].count_documents({}) == 1
        record = new_record("one@example.com")
        await stores[0].create("t", new_key(), record)
        other = new_record("one@example.com")
        assert await reason_of(stores[1].create("t", new_key(), other)) == "EMAIL_TAKEN"
    await client.drop_database(name)


async def test_a_users_own_id_is_its_object_id(
    store: UserStore, tenant: str, client: AsyncIOMotorClient[dict[str, Any]]
) -> None:
    key = new_key()
    created = await store.create(tenant, key, new_record())
    users = client.get_default_database()["users"]
    document = await users.find_one({"tenant": tenant})
    assert document is not None
    assert str(document["_id"]) == created.id
    await store.remove(tenant, key)
    tombstone = await users.find_one({"tenant": tenant})
    assert tombstone is not None
    assert set(tombstone) == {"_id", "tenant", "key", "live", "removed_time"}


class Looks(CommandListener):
    """What a client looks for: (collection, filter) of its reads and writes."""

    def __init__(self) -> None:
        self.filters: list[tuple[str, dict[str, Any]]] = []

    def started(self, event: CommandStartedEvent) -> None:
        command = event.command
        match event.command_name:
            case "find":
                self.filters.append((command["find"], command["filter"]))
            case "findAndModify":
                self.filters.append((command["findAndModify"], command["query"]))
            case "update":
                self.filters += [(command["update"], one["q"]) for one in command["updates"]]

    def succeeded(self, event: object) -> None:
        pass

    def failed(self, event: object) -> None:
        pass


async def test_nothing_is_looked_for_by_reading_the_whole_collection(mongodb_url: str) -> None:
    looks = Looks()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        mongodb_url, event_listeners=[looks]
    )
    documents = client.get_default_database()
    store = MongoUsers(Database(client, documents.name))
    tenant, key, record = "t-" + uuid.uuid4().hex, new_key(), new_record()
    await store.create(tenant, key, record)
    await store.create(tenant, key, record)
    record.user.etag, before = "later", record.user.etag
    await store.replace(tenant, record.user, [before, "another"])
    await store.get(tenant, record.user.user_id)
    assert await store.claim(tenant, key, "email:a")
    assert await store.claim(tenant, key, "email:a")
    await store.forget(tenant, "email:a")
    await store.erase(tenant, record.user.user_id)
    # By _id every server finds a document without an index of ours.
    own = [
        (name, look)
        for name, look in looks.filters
        if name in ("users", "claims") and "_id" not in look
    ]
    assert len(own) >= 7
    plans = [
        (look, await documents.command("explain", {"find": name, "filter": look}))
        for name, look in own
    ]
    client.close()
    assert [look for look, plan in plans if "COLLSCAN" in str(plan["queryPlanner"])] == []
