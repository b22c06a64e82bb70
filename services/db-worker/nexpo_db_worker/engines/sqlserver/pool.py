"""A bounded set of connections, used from threads because the driver is synchronous."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Self, TypeVar

import pytds

from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.preparation import Preparation
from nexpo_db_worker.engines.sqlserver.connection import Connection, Row
from nexpo_db_worker.engines.sqlserver.errors import fault_of
from nexpo_db_worker.engines.sqlserver.migrations import migrate
from nexpo_db_worker.engines.sqlserver.target import Target
from nexpo_runtime.errors import Fault

T = TypeVar("T")

_WHOLE_S = 8.0

_log = logging.getLogger(__name__)


class Pool:
    """Runs work on connections to a migrated database.

    A connection is taken and given back inside the thread that uses it, so there are
    never more connections than threads, and an await that is cancelled cannot hand a
    busy one to anybody: its thread ends the work alone, within the driver's time-outs.
    """

    def __init__(
        self, target: Target, origin: Origin, migrations: Sequence[Migration], size: int
    ) -> None:
        self.origin = origin
        self._target = target
        self._migrations = migrations
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="sqlserver")
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        self._migrating: Connection | None = None
        self._prepared = Preparation(self._migrate)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, target: Target, origin: Origin, migrations: Sequence[Migration], size: int = 8
    ) -> AsyncIterator[Self]:
        """Opens it without connecting; closes it when running work but migrations has ended.

        Args:
            target: The database.
            origin: Whose faults it raises.
            migrations: What the database must have seen, in order.
            size: Connections, and threads, at most.
        """
        pool = cls(target, origin, migrations, size)
        try:
            yield pool
        finally:
            await asyncio.to_thread(pool._close)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Runs work in a thread, on a connection of its own; it may begin and never end.

        Raises:
            Taken, Fault: What the work raises; and Fault with STORE_UNAVAILABLE, STORE_THROTTLED,
                STORE_DENIED, STORE_REFUSED for what the driver raises.
        """
        try:
            async with asyncio.timeout(_WHOLE_S):
                await self._prepared()
                return await self._in_thread(work)
        except (pytds.Error, OSError) as error:
            raise fault_of(self.origin, error) from None

    async def execute(self, statements: str, **values: object) -> tuple[int, list[Row]]:
        """Runs a batch; see Connection.execute. Raises: Fault: As run."""
        return await self.run(lambda connection: connection.execute(statements, **values))

    async def ping(self) -> None:
        """Answers when the database does. Raises: Fault: As run."""
        await self.execute("SELECT 1")

    async def version(self) -> str:
        """The server's: "16.0.4155". Raises: Fault: As run."""
        return await self.run(lambda connection: connection.version)

    async def _migrate(self) -> None:
        def work(connection: Connection) -> list[str]:
            self._migrating = connection
            try:
                return migrate(connection, self._migrations)
            finally:
                self._migrating = None

        for name in await self._in_thread(work):
            _log.info("%s: applied migration %s", self.origin.title, name)

    async def _in_thread(self, work: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._use, work)

    def _use(self, work: Callable[[Connection], T]) -> T:
        connection = self._take()
        try:
            result = work(connection)
        except (Fault, Taken):  # a decision of ours: the connection is as good as before
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
        if migrating := self._migrating:  # that may take long, and is rolled back
            migrating.close()
        self._threads.shutdown(cancel_futures=True)
