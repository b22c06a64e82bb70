"""Deletes old tombstones in the background, a bounded number of pages at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from nexpo_runtime import logs
from nexpo_runtime.errors import Fault

from .homes import Homes

RETENTION = timedelta(days=7)
"""How long a tombstone fences: as long as Temporal remembers the operation that made it."""

_PAGES = 50

_log = logs.get(__name__)


@contextlib.asynccontextmanager
async def purging(homes: Homes, every: timedelta = timedelta(hours=1)) -> AsyncIterator[None]:
    """Purges inside the block; several workers may, they do not disturb each other."""
    task = asyncio.create_task(_purge_forever(homes, every))
    try:
        yield
    finally:
        task.cancel()


async def _purge_forever(homes: Homes, every: timedelta) -> None:
    after = ""
    while True:
        # Not all workers at the same moment, nor in the moment of start.
        await asyncio.sleep(every.total_seconds() * random.uniform(0.5, 1.5))
        try:
            purged, after = await homes.purge(datetime.now(UTC) - RETENTION, _PAGES, after)
        except Fault as fault:
            _log.warning("purge of tombstones failed", reason=fault.name)
            continue
        if purged:
            _log.info("tombstones purged", count=purged)
