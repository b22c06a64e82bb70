"""Deletes old tombstones, in small batches, in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

from nexpo_db_worker.stores import UserStore
from nexpo_runtime.errors import Fault

_PAUSE_S = 0.2  # between two batches: the stores have other things to do
_BATCHES = 500  # of one store in one round

_log = logging.getLogger(__name__)


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
    tasks = [asyncio.create_task(_rounds(store, older_than, every)) for store in stores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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


async def _rounds(store: UserStore, older_than: timedelta, every: timedelta) -> None:
    # Workers that start together do not purge together.
    await asyncio.sleep(random.random() * every.total_seconds())
    while True:
        try:
            purged = await purge_once(store, datetime.now(UTC) - older_than)
            if purged:
                _log.info("purged %d tombstones of store %d", purged, store.store)
        except Fault as fault:
            _log.info("purge of store %d waits for its next round: %s", store.store, fault.name)
        except Exception as error:
            _log.error("purge of store %d failed by a bug", store.store, exc_info=error)
        await asyncio.sleep(every.total_seconds())
