"""What goes wrong in Cosmos DB, and between it and the store, is told and survived.

Every fault strikes only requests that name the test's own tenant.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from calls import PATIENCE_S, new_key, reason_of
from cosmos_faults import Place, fault
from user_records import changed, live, new_record

from nexpo_db_worker.databases.opened import open_database
from nexpo_db_worker.users.table import CLAIMS
from nexpo_db_worker.users.users import Users
from nexpo_runtime.errors import Fault

CALLS: dict[str, Callable[[Users, str], Awaitable[object]]] = {
    "create": lambda users, tenant: users.create(tenant, new_key(), new_record()),
    "remove": lambda users, tenant: users.remove(tenant, new_key()),
    "get": lambda users, tenant: users.get(tenant, "nobody"),
    "page": lambda users, tenant: users.page(tenant, None, 10),
    "claim": lambda users, tenant: users.claims.claim(tenant, new_key(), "user:1"),
    "release": lambda users, tenant: users.claims.release(tenant, new_key()),
    "forget": lambda users, tenant: users.claims.forget(tenant, "user:1"),
    "erase": lambda users, tenant: users.erase(tenant, "nobody"),
}


@pytest.fixture
async def users(cosmos_place: Place, request: pytest.FixtureRequest) -> AsyncIterator[Users]:
    request.getfixturevalue("only_stand_in")
    async with open_database(cosmos_place.entry) as database:
        await database.ping()
        yield Users.over(database)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "substatus", "reason"),
    [
        (400, 0, "STORE_REFUSED"),
        (401, 0, "STORE_DENIED"),
        (403, 0, "STORE_DENIED"),
        (403, 3, "STORE_UNAVAILABLE"),
        (404, 1002, "STORE_UNAVAILABLE"),
        (408, 0, "STORE_UNAVAILABLE"),
        (410, 0, "STORE_UNAVAILABLE"),
        (413, 0, "STORE_REFUSED"),
        (429, 3200, "STORE_THROTTLED"),
        (449, 0, "STORE_UNAVAILABLE"),
        (500, 0, "STORE_UNAVAILABLE"),
        (503, 0, "STORE_UNAVAILABLE"),
    ],
)
async def test_each_refusal_has_its_reason_and_is_not_retried_by_the_sdk(
    users: Users,
    tenant: str,
    cosmos_place: Place,
    call: str,
    status: int,
    substatus: int,
    reason: str,
) -> None:
    async with fault(
        cosmos_place, contains=tenant, status=status, substatus=substatus, retry_after_ms=1500
    ) as one:
        with pytest.raises(Fault) as caught:
            await CALLS[call](users, tenant)
        assert await one.struck() == 1
    assert caught.value.name == reason
    assert "told to fail" not in str(caught.value), "the service's text leaks"
    throttled = reason == "STORE_THROTTLED"
    assert caught.value.retry_after == (timedelta(seconds=1.5) if throttled else None)


@pytest.mark.parametrize("action", ["drop", "hold"])
async def test_a_creation_whose_answer_is_lost_is_found_by_the_retry(
    users: Users, tenant: str, cosmos_place: Place, action: str
) -> None:
    key, record = new_key(), new_record()
    began = time.monotonic()
    async with fault(
        cosmos_place, contains=tenant, operation="create", action=action, moment="after", times=1
    ):
        assert await reason_of(users.create(tenant, key, record)) == "STORE_UNAVAILABLE"
        assert time.monotonic() - began < PATIENCE_S
        assert [found.record for found in await live(users, tenant)] == [record]
        assert (await users.create(tenant, key, record)).record == record
    assert len(await live(users, tenant)) == 1


async def test_a_creation_that_lands_after_its_undo_leaves_nothing(
    users: Users, tenant: str, cosmos_place: Place
) -> None:
    key, record = new_key(), new_record()
    async with fault(cosmos_place, contains=tenant, operation="create", action="hold") as one:
        assert await reason_of(users.create(tenant, key, record)) == "STORE_UNAVAILABLE"
        await users.remove(tenant, key)
        await one.remove()  # now it lands
        await live(users, tenant)
        assert await live(users, tenant) == []
    assert await reason_of(users.create(tenant, key, record)) == "FENCED"


async def test_a_claim_that_lands_after_its_release_holds_nothing(
    users: Users, tenant: str, cosmos_place: Place
) -> None:
    mine = new_key()
    async with fault(cosmos_place, contains=tenant, operation="create", action="hold") as one:
        assert await reason_of(users.claims.claim(tenant, mine, "user:1")) == "STORE_UNAVAILABLE"
        await users.claims.release(tenant, mine)
        await one.remove()
        await live(users, tenant)
    assert await users.claims.claim(tenant, new_key(), "user:1")


async def test_a_fence_that_is_undone_again_while_it_is_purged_stays(
    tenant: str, cosmos_place: Place
) -> None:
    key, later = new_key(), datetime.now(UTC) + timedelta(minutes=1)
    async with open_database(cosmos_place.entry) as database:
        fences = database.fences(CLAIMS)
        await fences.remove(tenant, key)
        async with fault(cosmos_place, contains=tenant, operation="delete", action="hold") as one:
            purge = asyncio.create_task(fences.purge(later))
            await one.has_struck()
            await fences.remove(tenant, key)
            await one.remove()
            await purge
        create = fences.create(tenant, key, {"resource": "user:1"})
        assert await reason_of(create) == "FENCED"


async def test_a_replacement_whose_answer_is_lost_may_be_repeated(
    users: Users, tenant: str, cosmos_place: Place
) -> None:
    record = new_record()
    await users.create(tenant, new_key(), record)
    after = changed(record.user, "Ada King")
    # aiohttp sends a PUT once more when a connection that it kept is cut, so each is cut.
    async with fault(
        cosmos_place, contains=tenant, operation="replace", action="drop", moment="after"
    ):
        call = users.replace(tenant, after, [record.user.etag])
        assert await reason_of(call) == "STORE_UNAVAILABLE"
    await users.replace(tenant, after, [record.user.etag])
    assert (await users.get(tenant, after.user_id)).record.user == after


async def test_a_replacement_that_lands_late_does_not_undo_a_later_one(
    users: Users, tenant: str, cosmos_place: Place
) -> None:
    record = new_record()
    await users.create(tenant, new_key(), record)
    slow, quick = changed(record.user, "Slow"), changed(record.user, "Quick")
    async with fault(
        cosmos_place, contains='"Slow"', operation="replace", action="hold", collection="users"
    ) as one:
        call = asyncio.create_task(reason_of(users.replace(tenant, slow, [record.user.etag])))
        await one.has_struck()
        await users.replace(tenant, quick, [record.user.etag])
        await one.remove()
        assert await call == "ETAG_MISMATCH"
    assert (await users.get(tenant, quick.user_id)).record.user == quick


async def test_calls_go_on_when_the_fault_is_over(
    users: Users, tenant: str, cosmos_place: Place
) -> None:
    record = new_record()
    async with fault(cosmos_place, contains=tenant, status=503, times=3):
        calls = [CALLS[name](users, tenant) for name in ("create", "get", "page")]
        reasons = [await reason_of(call) for call in calls]
        assert reasons == ["STORE_UNAVAILABLE"] * 3
        created = await users.create(tenant, new_key(), record)
    assert await live(users, tenant) == [created]
