"""Connections to a PostgreSQL database that may be away now and then."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import asyncpg

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.postgres.errors import LOST, reason_of_sqlstate
from nexpo_db_worker.engines.postgres.migrations import migrate
from nexpo_db_worker.engines.postgres.poolers import MEND, shows_pooler
from nexpo_db_worker.engines.preparation import Preparation

# All of it together stays under the 10 s that an attempt of an activity may take.
_CONNECT_S = 3.0
_COMMAND_S = 4.0
_WHOLE_S = 7.0
_CLOSE_S = 2.0
_REPEAT_S = 60.0

_log = logging.getLogger(__name__)


class Pool:
    """Connections to a database, which is migrated before its first use.

    Opening it connects nothing: a database that is away is met at the first call.
    """

    def __init__(self, origin: Origin, migrations: Sequence[Migration]) -> None:
        self.origin = origin
        self._migrations = migrations
        self._pool: asyncpg.Pool | None = None
        self._name_again = 0.0
        self._prepared = Preparation(self._migrate)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, origin: Origin, migrations: Sequence[Migration], size: int = 10
    ) -> AsyncIterator[Self]:
        """Opens the pool; closes it at the end.

        Args:
            url: "postgresql://user:password@host:port/database".
            origin: Whose faults it raises.
            migrations: What the database must have seen, in order.
            size: Connections at most.
        """
        opened = cls(origin, migrations)
        async with asyncpg.create_pool(
            url,
            min_size=0,
            max_size=size,
            timeout=_CONNECT_S,
            command_timeout=_COMMAND_S,
            # What a lost client leaves behind ends by itself.
            server_settings={
                "application_name": "nexpo-db-worker",
                "statement_timeout": str(int(_COMMAND_S * 1000)),
                "idle_in_transaction_session_timeout": "60000",
            },
        ) as pool:
            opened._pool = pool
            try:
                yield opened
            finally:
                try:
                    await asyncio.wait_for(pool.close(), _CLOSE_S)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection to the migrated database.

        Raises:
            Fault: STORE_UNAVAILABLE, STORE_THROTTLED, STORE_DENIED, STORE_REFUSED.
        """
        async with self._faults(), asyncio.timeout(_WHOLE_S):
            await self._prepared()
            async with self._acquire() as connection:
                yield connection

    async def execute(self, statement: str, *values: str) -> None:
        """Runs one statement. Raises: Fault: As connection."""
        async with self.connection() as connection:
            await connection.execute(statement, *values)

    async def ping(self) -> None:
        """Answers when the database does. Raises: Fault: As connection."""
        await self.execute("SELECT 1")

    async def version(self) -> str:
        """The server's: "18.1". Raises: Fault: As connection."""
        async with self.connection() as connection:
            return str(await connection.fetchval("SHOW server_version")).partition(" ")[0]

    @asynccontextmanager
    async def _acquire(self) -> AsyncIterator[asyncpg.Connection]:
        assert self._pool is not None
        async with self._pool.acquire(timeout=_CONNECT_S) as connection:
            yield connection

    @asynccontextmanager
    async def _faults(self) -> AsyncIterator[None]:
        try:
            yield
        except asyncpg.PostgresError as error:
            if shows_pooler(error):
                self._name_pooler()
                reason = Reason.REASON_STORE_UNAVAILABLE
                raise self.origin.fault(reason, error) from None
            reason = reason_of_sqlstate(str(error.sqlstate or ""))
            raise self.origin.fault(reason, error) from None
        except ValueError as error:  # a parameter that cannot be encoded
            raise self.origin.fault(Reason.REASON_STORE_REFUSED, error) from None
        except LOST as error:
            raise self.origin.fault(Reason.REASON_STORE_UNAVAILABLE, error) from None

    def _name_pooler(self) -> None:
        now = time.monotonic()
        if now >= self._name_again:
            self._name_again = now + _REPEAT_S
            _log.error("%s: %s", self.origin.title, MEND)

    async def _migrate(self) -> None:
        async with self._acquire() as connection:
            applied = await migrate(connection, self._migrations)
        for name in applied:
            _log.info("%s: applied migration %s", self.origin.title, name)
