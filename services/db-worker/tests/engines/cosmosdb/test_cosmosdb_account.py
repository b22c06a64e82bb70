"""The account: made ready once, refused clearly, killed and back."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from calls import PATIENCE_S, new_key, reason_of, recovered
from cosmos_faults import Place, fault
from user_records import live, new_record

from nexpo_db_worker.databases.opened import open_database
from nexpo_db_worker.users.table import USERS
from nexpo_db_worker.users.users import Users
from nexpo_dev import servers


async def test_workers_that_start_at_once_make_the_containers_once(
    empty_place: Place, admin: CosmosClient
) -> None:
    place = empty_place
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(open_database(place.entry)) for _ in range(6)]
        await asyncio.gather(*(database.ping() for database in opened))
        ledger = admin.get_database_client(place.database).get_container_client("migrations")
        assert [item["id"] async for item in ledger.read_all_items()] == ["0001_users.json"]
        one, other = map(Users.over, opened[:2])
        await one.create("t", new_key(), new_record("one@example.com"))
        second = other.create("t", new_key(), new_record("one@example.com"))
        assert await reason_of(second) == "EMAIL_TAKEN"


@pytest.mark.parametrize(
    ("partition", "unique", "composite"),
    [
        ("/id", ["/email", "/user_id"], ["/create_time", "/user_id"]),
        ("/tenant", ["/email"], ["/create_time", "/user_id"]),
        ("/tenant", ["/email", "/user_id"], ["/user_id", "/create_time"]),
    ],
)
async def test_a_container_that_somebody_else_made_with_other_keys_or_indexes_is_refused(
    empty_place: Place,
    admin: CosmosClient,
    partition: str,
    unique: list[str],
    composite: list[str],
) -> None:
    place = empty_place
    database = await admin.create_database(place.database)
    policy: Any = {"uniqueKeys": [{"paths": [path]} for path in unique]}
    indexing: Any = {
        "compositeIndexes": [[{"path": path, "order": "ascending"} for path in composite]]
    }
    await database.create_container(
        "users", PartitionKey(partition), unique_key_policy=policy, indexing_policy=indexing
    )
    async with open_database(place.entry) as opened:
        assert await reason_of(opened.ping()) == "STORE_REFUSED"
        create = Users.over(opened).create("t", new_key(), new_record())
        assert await reason_of(create) == "STORE_REFUSED"


@pytest.mark.parametrize("key", ["d3Jvbmcga2V5", "not base64!"])
async def test_a_wrong_key_is_denied(cosmos_place: Place, key: str) -> None:
    async with open_database(dataclasses.replace(cosmos_place, key=key).entry) as opened:
        assert await reason_of(opened.ping()) == "STORE_DENIED"
        assert await reason_of(Users.over(opened).page("t", None, 1)) == "STORE_DENIED"


async def test_a_users_own_id_is_its_items_and_a_tombstone_has_no_more_than_it_needs(
    cosmos_place: Place, tenant: str, admin: CosmosClient
) -> None:
    place = cosmos_place
    items = admin.get_database_client(place.database).get_container_client("users")
    async with open_database(place.entry) as opened:
        users, key = Users.over(opened), new_key()
        created = await users.create(tenant, key, new_record())
        assert (await items.read_item(created.id, partition_key=tenant))["tenant"] == tenant
        await users.remove(tenant, key)
        left = await items.read_item(created.id, partition_key=tenant)
        own = {name for name in left if not name.startswith("_")}
        assert own == {"id", "tenant", "user_id", "email", "removed_time"}
        assert {left["user_id"], left["email"]} == {f"removed {created.id}"}


async def test_a_purge_of_many_goes_in_batches(empty_place: Place) -> None:
    place = empty_place
    async with open_database(place.entry) as opened:
        fences = opened.fences(USERS)
        keys = [new_key() for _ in range(230)]
        for start in range(0, len(keys), 23):
            tenants = [f"t{number % 3}" for number in range(23)]
            pairs = zip(tenants, keys[start : start + 23], strict=True)
            await asyncio.gather(*(fences.remove(tenant, key) for tenant, key in pairs))
        before = datetime.now(UTC) + timedelta(minutes=1)
        counts = [await fences.purge(before) for _ in range(3)]
        assert counts == [200, 30, 0]


async def test_an_account_that_is_away_at_first_is_met_when_it_comes(tmp_path: Path) -> None:
    server = servers.cosmosdb(tmp_path)
    async with open_database(Place(server.url, server.key, "nexpo").entry) as opened:
        began = time.monotonic()
        reasons = await asyncio.gather(*(reason_of(opened.ping()) for _ in range(3)))
        assert reasons == ["STORE_UNAVAILABLE"] * 3
        assert time.monotonic() - began < PATIENCE_S
        async with server:
            await recovered(opened.ping)
            await Users.over(opened).create("t", new_key(), new_record())


async def test_an_account_that_hangs_at_first_is_given_up_in_time(
    tmp_path: Path,
) -> None:
    async with servers.cosmosdb(tmp_path) as server:
        place = Place(server.url, server.key, "nexpo")
        async with open_database(place.entry) as opened:
            async with fault(place, operation="account", action="hold"):
                began = time.monotonic()
                assert await reason_of(opened.ping()) == "STORE_UNAVAILABLE"
                assert time.monotonic() - began < PATIENCE_S
            await recovered(opened.ping)


async def test_what_was_acknowledged_outlives_a_kill_in_the_midst_of_writes(
    tmp_path: Path,
) -> None:
    async with (
        servers.cosmosdb(tmp_path) as server,
        open_database(Place(server.url, server.key, "nexpo").entry) as opened,
    ):
        users = Users.over(opened)
        kept: dict[str, str] = {}
        fenced: list[str] = []
        busy = asyncio.Event()

        async def write() -> None:
            while True:
                key, record, undone = new_key(), new_record(), new_key()
                if await reason_of(users.create("t", key, record)):
                    return
                kept[key] = record.user.user_id
                if await reason_of(users.remove("t", undone)):
                    return
                fenced.append(undone)
                if len(kept) >= 40:
                    busy.set()

        writers = [asyncio.create_task(write()) for _ in range(8)]
        await asyncio.wait_for(busy.wait(), 90)
        await server.kill()
        await asyncio.gather(*writers)
        await server.start()
        await recovered(opened.ping)
        found = {user.record.user.user_id for user in await live(users, "t")}
        assert set(kept.values()) <= found
        assert len(found) <= len(kept) + len(writers), "only what was in flight may be there too"
        for key in fenced:
            assert await reason_of(users.create("t", key, new_record())) == "FENCED"
