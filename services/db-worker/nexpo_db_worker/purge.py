"""Deletes old tombstones, in small batches, in the background."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

from nexpo_db_worker.capabilities.fences import Fences
from nexpo_db_worker.databases.opened import Database
from nexpo_runtime.service.rounds import rounds
from nexpo_runtime.telemetry import logs

_PAUSE_S = 0.2  # between two batches: the databases have other things to do
_BATCHES = 500  # of one table in one round

_log = logs.get(__name__)


@contextlib.asynccontextmanager
async def purging(
    databases: Iterable[Database], older_than: timedelta, every: timedelta
) -> AsyncIterator[None]:
    """Purges every fenced table of every database while the block runs.

    Workers that purge at the same time share the work: a tombstone is deleted
    once, by whoever comes first.

    Args:
        databases: What to purge; each knows the tables whose fences were asked for.
        older_than: Age from which a tombstone is deleted.
        every: Time between two rounds; the first comes within one of them.
    """
    async with contextlib.AsyncExitStack() as running:
        for database in databases:
            await running.enter_async_context(_purging(database, older_than, every))
        yield


async def purge_once(fences: Fences, before: datetime) -> int:
    """Deletes a table's tombstones that were made before; returns how many.

    Raises:
        Fault: The database's.
    """
    purged = 0
    for _ in range(_BATCHES):
        count = await fences.purge(before)
        if not count:
            break
        purged += count
        await asyncio.sleep(_PAUSE_S)
    return purged


def _purging(
    database: Database, older_than: timedelta, every: timedelta
) -> contextlib.AbstractAsyncContextManager[None]:
    async def purge() -> None:
        for table, fences in list(database.fenced.items()):
            purged = await purge_once(fences, datetime.now(UTC) - older_than)
            if purged:
                _log.info("tombstones purged", database=database.id, table=table, count=purged)

    return rounds(f"purge of {database.id}", purge, every)
