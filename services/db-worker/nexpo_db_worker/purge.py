"""Deletes old tombstones, in small batches, in the background."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

from nexpo_db_worker.stores import UserStore
from nexpo_runtime.service.rounds import rounds
from nexpo_runtime.telemetry import logs

_PAUSE_S = 0.2  # between two batches: the stores have other things to do
_BATCHES = 500  # of one store in one round

_log = logs.get(__name__)


@contextlib.asynccontextmanager
async def purging(
    stores: Iterable[UserStore], older_than: timedelta, every: timedelta
) -> AsyncIterator[None]:
    """Purges every store while the block runs.

    Workers that purge at the same time share the work: a tombstone is deleted
    once, by whoever comes first.

    Args:
        stores: What to purge.
        older_than: Age from which a tombstone is deleted.
        every: Time between two rounds; the first comes within one of them.
    """
    async with contextlib.AsyncExitStack() as running:
        for store in stores:
            await running.enter_async_context(_purging(store, older_than, every))
        yield


async def purge_once(store: UserStore, before: datetime) -> int:
    """Deletes the store's tombstones that were made before; returns how many.

    Raises:
        Fault: The store's.
    """
    purged = 0
    for _ in range(_BATCHES):
        count = await store.purge(before)
        if not count:
            break
        purged += count
        await asyncio.sleep(_PAUSE_S)
    return purged


def _purging(
    store: UserStore, older_than: timedelta, every: timedelta
) -> contextlib.AbstractAsyncContextManager[None]:
    async def purge() -> None:
        purged = await purge_once(store, datetime.now(UTC) - older_than)
        if purged:
            _log.info("tombstones purged", store=store.store, count=purged)

    return rounds(f"purge of store {store.store}", purge, every)
