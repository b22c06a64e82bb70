"""What a store needs once before its first use, however late its database appears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Preparation:
    """Runs until it has succeeded once; calls at the same time share one run."""

    def __init__(self, prepare: Callable[[], Awaitable[None]]) -> None:
        self._prepare = prepare
        self._done = False
        self._running: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Returns when the preparation is done; raises what it raises."""
        if self._done:
            return
        if self._running is None:
            self._running = asyncio.create_task(self._run())
            self._running.add_done_callback(_seen)
        # Shielded: one caller's time-out must not end what the others wait for.
        await asyncio.shield(self._running)

    async def _run(self) -> None:
        try:
            await self._prepare()
            self._done = True
        finally:
            self._running = None


def _seen(task: asyncio.Task[None]) -> None:
    """Everybody who waited may have given up: then nobody is there to see how it ended."""
    if not task.cancelled():
        task.exception()
