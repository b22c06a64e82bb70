"""Watch: one feed per watched operation, whatever the number of its watchers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName

from .backend import OperationsBackend, Snapshot


class WatchHub:
    """Shares the backend's feeds among watchers; a feed ends with its last watcher."""

    def __init__(self, backend: OperationsBackend) -> None:
        self._backend = backend
        self._feeds: dict[OperationName, _Feed] = {}

    async def watch(self, name: OperationName) -> AsyncIterator[Snapshot]:
        """The operation now and at every change; a slow watcher gets the latest only.

        Raises:
            Fault: As the backend's watch.
        """
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds[name] = _Feed(self._backend.watch(name))
        feed.watchers += 1
        try:
            async for snapshot in feed.follow():
                yield snapshot
        finally:
            feed.watchers -= 1
            # An ended feed stays until its last watcher has seen the end.
            if not feed.watchers:
                feed.close()
                if self._feeds.get(name) is feed:
                    del self._feeds[name]

    def close(self) -> None:
        """Ends every watch with SHUTTING_DOWN: another replica goes on from there."""
        for feed in self._feeds.values():
            feed.fail(Fault(Reason.REASON_SHUTTING_DOWN, "The gateway is shutting down."))


class _Feed:
    """The latest snapshot of one operation, and who waits for the next."""

    def __init__(self, source: AsyncIterator[Snapshot]) -> None:
        self.watchers = 0
        self._latest: Snapshot | None = None
        self._version = 0
        self._over = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._pump(source))

    def close(self) -> None:
        self._task.cancel()

    def fail(self, fault: Fault) -> None:
        self._error = fault
        self._task.cancel()

    async def follow(self) -> AsyncIterator[Snapshot]:
        seen = 0
        while True:
            while seen == self._version and not self._over:
                await self._changed.wait()
            if seen != self._version and self._latest is not None:
                seen = self._version
                yield self._latest
            elif self._error is not None:
                raise self._error
            else:
                return

    async def _pump(self, source: AsyncIterator[Snapshot]) -> None:
        try:
            async for snapshot in source:
                self._latest = snapshot
                self._version += 1
                self._wake()
        except Exception as error:
            self._error = error
        finally:
            self._over = True
            self._wake()

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
