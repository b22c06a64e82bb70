"""MongoDB's own promises: indexes made once, tombstones bare, no look at a whole collection."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dns.resolver
import pytest
from calls import new_key, reason_of
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandListener, CommandStartedEvent
from user_records import new_record

from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.claims import Claims
from nexpo_db_worker.databases.opened import open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.migrations import migrations_of
from nexpo_db_worker.engines.mongodb.connection import Client
from nexpo_db_worker.engines.mongodb.fences import MongoFences
from nexpo_db_worker.engines.mongodb.migrations import migrate
from nexpo_db_worker.engines.mongodb.records import MongoRecords
from nexpo_db_worker.users.table import CLAIMS, USERS
from nexpo_db_worker.users.users import Users


@pytest.fixture
async def client(mongodb_url: str) -> AsyncIterator[AsyncIOMotorClient[dict[str, Any]]]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongodb_url)
    yield client
    client.close()


async def test_workers_that_start_at_once_make_the_indexes_of_an_empty_database(
    mongodb_url: str, client: AsyncIOMotorClient[dict[str, Any]]
) -> None:
    name = f"test_{uuid.uuid4().hex}"
    url = urlunsplit(urlsplit(mongodb_url)._replace(path=f"/{name}"))
    entry = DatabaseEntry("mongodb", "mongodb", {"url": url})
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(open_database(entry)) for _ in range(6)]
        await asyncio.gather(*(database.ping() for database in databases))
        assert await client[name]["migrations"].count_documents({}) == 1
        users = [Users.over(database) for database in databases]
        await users[0].create("t", new_key(), new_record("one@example.com"))
        other = new_record("one@example.com")
        assert await reason_of(users[1].create("t", new_key(), other)) == "EMAIL_TAKEN"
    await client.drop_database(name)


async def test_a_purge_takes_a_thousand_at_once(
    mongodb_url: str, client: AsyncIOMotorClient[dict[str, Any]]
) -> None:
    name = f"test_{uuid.uuid4().hex}"
    url = urlunsplit(urlsplit(mongodb_url)._replace(path=f"/{name}"))
    async with open_database(DatabaseEntry("mongodb", "mongodb", {"url": url})) as database:
        await database.ping()
        now = datetime.now(UTC)
        tombstone = {"tenant": "t", "live": False, "removed_time": now}
        await client[name]["claims"].insert_many([{**tombstone, "key": n} for n in range(1001)])
        fences = database.fences(CLAIMS)
        assert [await fences.purge(now + timedelta(seconds=1)) for _ in range(2)] == [1000, 1]
    await client.drop_database(name)


async def test_a_users_own_id_is_its_object_id(
    mongodb_url: str, tenant: str, client: AsyncIOMotorClient[dict[str, Any]]
) -> None:
    entry = DatabaseEntry("mongodb", "mongodb", {"url": mongodb_url})
    async with open_database(entry) as database:
        users, key = Users.over(database), new_key()
        created = await users.create(tenant, key, new_record())
        collection = client.get_default_database()["users"]
        document = await collection.find_one({"tenant": tenant})
        assert document is not None
        assert str(document["_id"]) == created.id
        await users.remove(tenant, key)
    tombstone = await collection.find_one({"tenant": tenant})
    assert tombstone is not None
    assert set(tombstone) == {"_id", "tenant", "key", "live", "removed_time"}


class Limits(CommandListener):
    """How long a server may take for each index that is made, in milliseconds."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "createIndexes":
            self.found.append(event.command["maxTimeMS"])

    def succeeded(self, event: object) -> None:
        pass

    def failed(self, event: object) -> None:
        pass


async def test_an_index_over_many_documents_may_take_longer_than_a_call(mongodb_url: str) -> None:
    limits = Limits()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        mongodb_url, event_listeners=[limits], timeoutMS=5000
    )
    database = client.get_database("test_" + uuid.uuid4().hex)
    await migrate(database, migrations_of("mongodb"))
    await client.drop_database(database.name)
    client.close()
    assert limits.found
    assert min(limits.found) > 3_000_000


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
    origin = Origin("mongodb", "MongoDB")
    own_client = Client(client, documents.name, origin, migrations_of("mongodb"))
    claims = Claims(MongoFences(own_client, CLAIMS))
    users = Users(origin, MongoFences(own_client, USERS), MongoRecords(own_client, USERS), claims)
    tenant, key, record = "t-" + uuid.uuid4().hex, new_key(), new_record()
    await users.create(tenant, key, record)
    await users.create(tenant, key, record)
    record.user.etag, before = "later", record.user.etag
    await users.replace(tenant, record.user, [before, "another"])
    await users.get(tenant, record.user.user_id)
    assert await claims.claim(tenant, key, "email:a")
    assert await claims.claim(tenant, key, "email:a")
    await claims.forget(tenant, "email:a")
    await users.erase(tenant, record.user.user_id)
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


async def test_a_name_that_dns_cannot_find_now_is_a_database_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = dns.resolver.Resolver(configure=False)
    nobody.nameservers, nobody.port = ["127.0.0.1"], 9
    monkeypatch.setattr(dns.resolver, "default_resolver", nobody)
    entry = DatabaseEntry("mongodb", "mongodb", {"url": "mongodb+srv://u:p@db.example.com/db"})
    async with open_database(entry, ()) as database:
        assert await reason_of(database.ping()) == "STORE_UNAVAILABLE"
