"""Homes: provisioned once, undone for good, erased whole."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_cloud_worker.homes.homes import Homes, home_prefix
from nexpo_cloud_worker.object_stores.s3 import S3Store, open_s3
from nexpo_cloud_worker.settings import CloudSettings
from nexpo_runtime.errors import Fault


@pytest.fixture
def user_id() -> str:
    return str(uuid.uuid4())


async def _files(store: S3Store, tenant: str) -> dict[str, int]:
    """Sizes of all objects of the tenant by key; tombstones, which are empty, left out."""
    entries = await store.page(f"homes/{tenant}/")
    return {entry.key: entry.size for entry in entries if entry.size}


async def test_a_home_is_a_prefix_with_a_marker(
    homes: Homes, store: S3Store, tenant: str, user_id: str
) -> None:
    uri = await homes.create(tenant, "key", user_id)

    assert uri == store.uri(f"homes/{tenant}/{user_id}/")
    assert list(await _files(store, tenant)) == [f"homes/{tenant}/{user_id}/.home"]


async def test_twenty_creations_with_one_key_at_once_provision_one_home(
    homes: Homes, store: S3Store, tenant: str, user_id: str
) -> None:
    uris = await asyncio.gather(*(homes.create(tenant, "key", user_id) for _ in range(20)))

    assert len(set(uris)) == 1
    assert len(await _files(store, tenant)) == 1


async def test_of_creations_with_different_keys_at_once_exactly_one_wins(
    homes: Homes, tenant: str, user_id: str
) -> None:
    outcomes = await asyncio.gather(
        *(homes.create(tenant, f"key-{n}", user_id) for n in range(6)), return_exceptions=True
    )

    lost = [outcome for outcome in outcomes if isinstance(outcome, Fault)]
    assert len(lost) == 5
    assert {fault.reason for fault in lost} == {Reason.REASON_OBJECT_STORE_REFUSED}


async def test_undo_of_nothing_fences_a_creation_that_lands_later(
    homes: Homes, store: S3Store, tenant: str, user_id: str
) -> None:
    await homes.remove(tenant, "key", user_id)

    with pytest.raises(Fault) as failed:
        await homes.create(tenant, "key", user_id)
    assert failed.value.reason == Reason.REASON_FENCED
    assert await _files(store, tenant) == {}


async def test_undo_takes_the_home_and_the_files_in_it(
    homes: Homes, store: S3Store, tenant: str, user_id: str
) -> None:
    await homes.create(tenant, "key", user_id)
    await store.put(home_prefix(tenant, user_id) + "photos/a.jpg", b"jpg", {})

    await homes.remove(tenant, "key", user_id)
    await homes.remove(tenant, "key", user_id)

    assert await _files(store, tenant) == {}


async def test_undo_leaves_the_home_of_another_key(
    homes: Homes, store: S3Store, tenant: str, user_id: str
) -> None:
    uri = await homes.create(tenant, "theirs", user_id)

    await homes.remove(tenant, "ours", user_id)

    assert await homes.create(tenant, "theirs", user_id) == uri
    assert len(await _files(store, tenant)) == 1


async def test_whoever_wins_a_race_of_creation_and_undo_nothing_is_left(
    homes: Homes, store: S3Store, tenant: str
) -> None:
    async def race(user_id: str) -> None:
        creation = asyncio.create_task(homes.create(tenant, "key", user_id))
        await homes.remove(tenant, "key", user_id)
        with contextlib.suppress(Fault):
            await creation

    await asyncio.gather(*(race(f"user-{n}") for n in range(10)))

    assert await _files(store, tenant) == {}


async def test_a_tombstone_holds_no_personal_data(
    homes: Homes, store: S3Store, tenant: str, user_id: str
) -> None:
    await homes.create(tenant, "key", user_id)
    await homes.remove(tenant, "key", user_id)

    assert await store.get(home_prefix(tenant, user_id) + ".home") == b""


async def test_erasing_2500_objects_goes_on_where_a_cancelled_attempt_ended(
    homes: Homes, store: S3Store, tenant: str, user_id: str
) -> None:
    await homes.create(tenant, "key", user_id)
    prefix = home_prefix(tenant, user_id)
    several = asyncio.Semaphore(25)

    async def write(number: int) -> None:
        async with several:
            await store.put(f"{prefix}notes/{number:05d} ä+%.txt", b"x", {})

    await asyncio.gather(*(write(number) for number in range(2500)))
    reports: list[int] = []

    def heartbeat(deleted: int) -> None:
        reports.append(deleted)
        if deleted:
            # As Temporal does it: the cancel arrives with a heartbeat.
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await homes.erase(tenant, user_id, report=heartbeat)
    left = len(await store.page(prefix))
    deleted = await homes.erase(tenant, user_id, deleted=reports[-1])

    assert left == 1000, "the first attempt ended before its second page"
    assert deleted == 2500
    assert await _files(store, tenant) == {}


async def test_an_erased_home_cannot_be_provisioned_again(
    homes: Homes, tenant: str, user_id: str
) -> None:
    await homes.create(tenant, "key", user_id)
    await homes.erase(tenant, user_id)

    assert await homes.erase(tenant, user_id) == 0
    with pytest.raises(Fault) as failed:
        await homes.create(tenant, "key", user_id)
    assert failed.value.reason == Reason.REASON_FENCED


@pytest.mark.parametrize("name", ["a/b", "..", "ünïcode ?#%2F", "acme.example"])
async def test_no_tenant_reaches_the_homes_of_another(
    homes: Homes, store: S3Store, tenant: str, name: str
) -> None:
    await homes.create(tenant, "key", name)
    await homes.create(f"{tenant}/{name}", "key", "user")

    assert len(await _files(store, tenant)) == 1
    await homes.erase(tenant, name)
    await homes.erase(f"{tenant}/{name}", "user")
    assert await _files(store, tenant) == {}


async def test_a_home_without_a_user_is_refused(homes: Homes, tenant: str) -> None:
    with pytest.raises(Fault) as failed:
        await homes.erase(tenant, "")
    assert failed.value.reason == Reason.REASON_INVALID_ARGUMENT


async def test_only_tombstones_older_than_the_limit_are_purged(
    settings: Callable[..., CloudSettings], tenant: str
) -> None:
    # A bucket of its own: other tests need their tombstones.
    async with open_s3(settings(s3_bucket=f"nexpo-{uuid.uuid4()}")) as store:
        homes = Homes(store)
        await homes.create(tenant, "key", "living")
        await store.put(home_prefix(tenant, "living") + "empty.txt", b"", {})
        await homes.remove(tenant, "key", "undone")

        young = await homes.purge(datetime.now(UTC) - timedelta(days=7), pages=1)
        old = await homes.purge(datetime.now(UTC) + timedelta(minutes=5), pages=1)

        assert (young, old) == ((0, ""), (1, ""))
        left = [entry.key.rpartition(tenant)[2] for entry in await store.page("homes/")]
        assert left == ["/living/.home", "/living/empty.txt"]
