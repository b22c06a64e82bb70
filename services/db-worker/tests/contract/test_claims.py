"""Claims are exclusive in every engine, and fenced by their key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest
from backdoors import BackDoor
from calls import new_key, outcomes, reason_of
from samples import SAMPLE_CLAIMS

from nexpo_db_worker.claims import Claims
from nexpo_db_worker.databases.opened import Database

# An engine tries again while others are in its way: one that never stops fails here, and soon.
pytestmark = pytest.mark.timeout(60)


async def test_a_claim_is_exclusive_and_may_be_repeated(claims: Claims, tenant: str) -> None:
    mine, theirs = new_key(), new_key()
    assert await claims.claim(tenant, mine, "email:a@example.com")
    assert await claims.claim(tenant, mine, "email:a@example.com")
    assert not await claims.claim(tenant, theirs, "email:a@example.com")
    assert await claims.claim(tenant, theirs, "email:b@example.com")


async def test_a_key_that_holds_one_resource_gets_no_other(claims: Claims, tenant: str) -> None:
    key = new_key()
    assert await claims.claim(tenant, key, "user:1")
    assert not await claims.claim(tenant, key, "user:2")
    assert await claims.claim(tenant, new_key(), "user:2")


async def test_of_twenty_claims_at_once_exactly_one_wins(claims: Claims, tenant: str) -> None:
    keys = [new_key() for _ in range(20)]
    held = await asyncio.gather(*(claims.claim(tenant, key, "user:1") for key in keys))
    assert held.count(True) == 1
    winner = keys[held.index(True)]
    assert all(await asyncio.gather(*(claims.claim(tenant, winner, "user:1") for _ in range(10))))


async def test_a_released_claim_is_free_for_others_and_fenced_for_its_key(
    claims: Claims, tenant: str
) -> None:
    mine, theirs = new_key(), new_key()
    await claims.claim(tenant, mine, "user:1")
    await claims.release(tenant, mine)
    await claims.release(tenant, mine)
    assert await reason_of(claims.claim(tenant, mine, "user:1")) == "FENCED"
    assert await claims.claim(tenant, theirs, "user:1")
    assert await reason_of(claims.claim(tenant, mine, "user:1")) == "FENCED"


async def test_a_claim_that_lands_after_its_release_is_fenced(claims: Claims, tenant: str) -> None:
    mine = new_key()
    await claims.release(tenant, mine)
    assert await reason_of(claims.claim(tenant, mine, "user:1")) == "FENCED"
    assert await claims.claim(tenant, new_key(), "user:1")


async def test_the_release_of_a_lost_claim_does_not_free_the_winners(
    claims: Claims, tenant: str
) -> None:
    mine, theirs = new_key(), new_key()
    assert await claims.claim(tenant, mine, "user:1")
    assert not await claims.claim(tenant, theirs, "user:1")
    await claims.release(tenant, theirs)
    assert await claims.claim(tenant, mine, "user:1")
    assert not await claims.claim(tenant, new_key(), "user:1")


async def test_a_claim_that_races_its_release_holds_nothing(claims: Claims, tenant: str) -> None:
    for number in range(25):
        mine = new_key()
        calls: list[Awaitable[object]] = [
            claims.claim(tenant, mine, "user:1"),
            claims.release(tenant, mine),
        ]
        _, reasons = await outcomes(calls if number % 2 else calls[::-1])
        assert set(reasons) <= {"FENCED"}
        other = new_key()
        assert await claims.claim(tenant, other, "user:1")
        await claims.release(tenant, other)


async def test_a_forgotten_resource_is_free(claims: Claims, tenant: str) -> None:
    mine = new_key()
    await claims.claim(tenant, mine, "email:a@example.com")
    await claims.claim(tenant, mine + "/2", "email:b@example.com")
    await claims.forget(tenant, "email:a@example.com")
    await claims.forget(tenant, "email:a@example.com")
    await claims.forget(tenant, "email:never@example.com")
    assert await claims.claim(tenant, new_key(), "email:a@example.com")
    assert not await claims.claim(tenant, new_key(), "email:b@example.com")


async def test_a_tombstone_names_no_resource(claims: Claims, tenant: str, door: BackDoor) -> None:
    key = new_key()
    assert await claims.claim(tenant, key, "email:claimed@example.com")
    assert "claimed@example.com" in await door.dump(SAMPLE_CLAIMS, tenant)
    await claims.release(tenant, key)
    assert "claimed@example.com" not in await door.dump(SAMPLE_CLAIMS, tenant)


async def test_tenants_claim_apart(claims: Claims, tenant: str) -> None:
    other = tenant + "-other"
    assert await claims.claim(tenant, "k1", "user:1")
    assert await claims.claim(other, "k1", "user:1")
    await claims.forget(other, "user:1")
    await claims.release(other, "k1")
    assert not await claims.claim(tenant, "k2", "user:1")


async def test_the_purge_takes_old_tombstones_only(
    database: Database, claims: Claims, tenant: str, door: BackDoor
) -> None:
    assert await claims.claim(tenant, new_key(), "user:1")
    old, young = [new_key() for _ in range(3)], new_key()
    for key in old:
        await claims.release(tenant, key)
    await door.age(SAMPLE_CLAIMS, tenant)
    await claims.release(tenant, young)
    fences, purged = database.fences(SAMPLE_CLAIMS), 0
    while count := await fences.purge(datetime.now(UTC) - timedelta(days=7)):
        purged += count
    assert purged >= 3
    assert not await claims.claim(tenant, new_key(), "user:1")
    assert await reason_of(claims.claim(tenant, young, "user:2")) == "FENCED"
    for key in old:
        assert await claims.claim(tenant, key, f"user:{key}")
