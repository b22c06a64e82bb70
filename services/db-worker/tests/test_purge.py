"""Old tombstones go in the background, whatever happens to a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from backdoors.postgres import BackDoor
from calls import new_key, reason_of
from samples import SAMPLES, new_sample, sample_migrations
from waiting import until

from nexpo_db_worker.capabilities.fences import Fences
from nexpo_db_worker.databases.opened import Database, open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.purge import purge_once, purging
from nexpo_dev.fault_proxy import FaultProxy


def opened(url: str) -> AbstractAsyncContextManager[Database]:
    entry = DatabaseEntry("postgres", "postgres", {"url": url})
    return open_database(entry, sample_migrations("postgres"))


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Database]:
    async with opened(empty_database) as database:
        yield database


async def undone(fences: Fences, count: int) -> list[str]:
    keys = [new_key() for _ in range(count)]
    await asyncio.gather(*(fences.remove("t", key) for key in keys))
    return keys


async def all_purged(fences: Fences, keys: list[str]) -> None:
    """Waits until the fences are gone."""

    async def purged() -> bool:
        reasons = [await reason_of(fences.create("t", key, new_sample())) for key in keys]
        return "FENCED" not in reasons

    await until(purged)


async def test_more_tombstones_than_one_batch_holds_are_all_purged(fences: Fences) -> None:
    await undone(fences, 2100)
    assert await purge_once(fences, datetime.now(UTC) - timedelta(minutes=1)) == 0
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert await fences.purge(later) == 1000
    assert await purge_once(fences, later) == 1100


async def test_old_tombstones_go_in_the_background_and_young_ones_and_rows_stay(
    database: Database, fences: Fences, empty_database: str
) -> None:
    sample = new_sample()
    created = await fences.create("t", new_key(), sample)
    old = await undone(fences, 3)
    await BackDoor({"url": empty_database}).age(SAMPLES, "t")
    [young] = await undone(fences, 1)
    async with purging([database], older_than=timedelta(days=7), every=timedelta(seconds=0.2)):
        await all_purged(fences, old)
    assert await database.records(SAMPLES).get("t", sample["name"]) == created
    assert await reason_of(fences.create("t", young, new_sample())) == "FENCED"


async def test_a_purge_goes_on_after_its_database_was_away(empty_database: str) -> None:
    async with (
        FaultProxy.before(empty_database) as proxy,
        opened(proxy.through(empty_database)) as database,
    ):
        fences = database.fences(SAMPLES)
        keys = await undone(fences, 2)
        proxy.cut()
        with structlog.testing.capture_logs() as logged:
            async with purging([database], older_than=timedelta(0), every=timedelta(seconds=0.1)):
                await until(lambda: failed_rounds(logged, 2))
                proxy.heal()
                await all_purged(fences, keys)


async def failed_rounds(logged: Sequence[Mapping[str, Any]], count: int) -> bool:
    """Whether so many rounds have failed because the store was away."""
    failed = [line for line in logged if line.get("reason") == "STORE_UNAVAILABLE"]
    return len(failed) >= count
