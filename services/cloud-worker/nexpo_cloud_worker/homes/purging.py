"""Deletes old tombstones in the background, a bounded number of pages at a time."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

from nexpo_runtime.service.rounds import rounds
from nexpo_runtime.telemetry import logs

from .homes import Homes

RETENTION = timedelta(days=7)
"""How long a tombstone fences: as long as Temporal remembers the operation that made it."""

_PAGES = 50

_log = logs.get(__name__)


def purging(
    homes: Homes, every: timedelta = timedelta(hours=1)
) -> contextlib.AbstractAsyncContextManager[None]:
    """Purges inside the block; several workers may, they do not disturb each other."""
    after = ""

    async def purge() -> None:
        nonlocal after
        purged, after = await homes.purge(datetime.now(UTC) - RETENTION, _PAGES, after)
        if purged:
            _log.info("tombstones purged", count=purged)

    return rounds("purge of tombstones", purge, every)
