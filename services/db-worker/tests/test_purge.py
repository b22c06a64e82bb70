"""Old tombstones go in the background, whatever happens to a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from tcp_proxy import TcpProxy
from user_store_contract import new_key, new_record, reason_of
from waiting import until

from nexpo_db_worker.providers.postgres import open_postgres
from nexpo_db_worker.purge import purge_once, purging
from nexpo_db_worker.stores import UserStore


@pytest.fixture
async def store(empty_database: str) -> AsyncIterator[UserStore]:
    async with open_postgres(empty_database) as store:
        yield store


async def undone(store: UserStore, count: int) -> list[str]:
    keys = [new_key() for _ in range(count)]
    await asyncio.gather(*(store.remove("t", key) for key in keys))
    return keys


async def all_purged(store: UserStore, keys: list[str]) -> None:
    """Waits until the fences are gone."""

    async def purged() -> bool:
        reasons = [await reason_of(store.create("t", key, new_record())) for key in keys]
        return "FENCED" not in reasons

    await until(purged)


async def test_more_tombstones_than_one_batch_holds_are_all_purged(store: UserStore) -> None:
    await undone(store, 2100)
    assert await purge_once(store, datetime.now(UTC) - timedelta(minutes=1)) == 0
    assert await purge_once(store, datetime.now(UTC) + timedelta(minutes=1)) == 2100


async def test_old_tombstones_go_in_the_background_and_users_stay(store: UserStore) -> None:
    record = new_record()
    await store.create("t", new_key(), record)
    keys = await undone(store, 3)
    async with purging([store], older_than=timedelta(0), every=timedelta(seconds=0.2)):
        await all_purged(store, keys)
    assert (await store.get("t", record.user.user_id)).record == record


async def test_a_purge_goes_on_after_its_store_was_away(
    empty_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nexpo_db_worker.purge")

    async def rounds_failed() -> bool:
        return caplog.text.count("waits for its next round: STORE_UNAVAILABLE") > 1

    async with (
        TcpProxy.before(empty_database) as proxy,
        open_postgres(proxy.through(empty_database)) as store,
    ):
        keys = await undone(store, 2)
        await proxy.cut()
        with structlog.testing.capture_logs() as logged:
            async with purging([store], older_than=timedelta(0), every=timedelta(seconds=0.1)):
                await until(lambda: failed_rounds(logged, 2))
                await proxy.mend()
                await all_purged(store, keys)


async def failed_rounds(logged: Sequence[Mapping[str, Any]], count: int) -> bool:
    """Whether so many rounds have failed because the store was away."""
    failed = [line for line in logged if line.get("reason") == "STORE_UNAVAILABLE"]
    return len(failed) >= count
