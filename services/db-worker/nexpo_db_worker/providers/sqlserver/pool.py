"""A bounded set of connections, used from threads because the driver is synchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Self, TypeVar

import pytds

from nexpo_db_worker.providers.preparation import Preparation
from nexpo_db_worker.providers.sqlserver.connection import Connection
from nexpo_db_worker.providers.sqlserver.errors import fault_of
from nexpo_db_worker.providers.sqlserver.migrations import migrate
from nexpo_db_worker.providers.sqlserver.target import Target
from nexpo_runtime.errors import Fault

T = TypeVar("T")

_WHOLE_S = 8.0


class Pool:
    """Runs work on connections to a migrated database.

    A connection is taken and given back inside the thread that uses it, so there are
    never more connections than threads, and an await that is cancelled cannot hand a
    busy one to anybody: its thread ends the work alone, within the driver's time-outs.
    """

    def __init__(self, target: Target, size: int) -> None:
        self._target = target
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="sqlserver")
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        self._prepared = Preparation(self._migrate)

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Target, size: int) -> AsyncIterator[Self]:
        """Opens it without connecting; closes it when running work has ended.

        Args:
            target: The database.
            size: Connections, and threads, at most.
        """
        pool = cls(target, size)
        try:
            yield pool
        finally:
            await asyncio.to_thread(pool._close)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Runs work in a thread, on a connection of its own; it may begin and never end.

        Raises:
            Fault: What the work raises, or STORE_UNAVAILABLE, STORE_THROTTLED,
                STORE_DENIED, STORE_REFUSED for what the driver raises.
        """
        try:
            async with asyncio.timeout(_WHOLE_S):
                await self._prepared()
                return await self._in_thread(work)
        except (pytds.Error, OSError) as error:
            raise fault_of(error) from None

    async def _migrate(self) -> None:
        await self._in_thread(migrate)

    async def _in_thread(self, work: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._use, work)

    def _use(self, work: Callable[[Connection], T]) -> T:
        connection = self._take()
        try:
            result = work(connection)
        except Fault:  # a decision of ours: the connection is as good as before
            self._give_back(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        return result

    def _take(self) -> Connection:
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if not connection.stale:
                return connection
            connection.close()
        return Connection(self._target)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._threads.shutdown(cancel_futures=True)
