"""Connections to a PostgreSQL database that may be away now and then."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import asyncpg

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker.providers.faults import TITLES, store_fault
from nexpo_db_worker.providers.postgres.lost import LOST
from nexpo_db_worker.providers.postgres.migrations import FOLDER, migrate
from nexpo_db_worker.providers.postgres.poolers import MEND, shows_pooler
from nexpo_db_worker.providers.preparation import Preparation
from nexpo_db_worker.providers.sqlstate import reason_of_sqlstate

# All of it together stays under the 10 s that an attempt of an activity may take.
_CONNECT_S = 3.0
_COMMAND_S = 4.0
_WHOLE_S = 7.0
_CLOSE_S = 2.0
_REPEAT_S = 60.0

_log = logging.getLogger(__name__)


class Database:
    """A pool of connections that migrates the database before its first use.

    Opening it connects nothing: a database that is away is met at the first call.
    """

    def __init__(self, url: str, store: Store.ValueType, size: int) -> None:
        self._url = url
        self._store = store
        self._size = size
        self._pool: asyncpg.Pool | None = None
        self._name_again = 0.0
        self._prepared = Preparation(self._migrate)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, store: Store.ValueType = Store.STORE_POSTGRES, size: int = 10
    ) -> AsyncIterator[Self]:
        """Opens the pool; closes it at the end.

        Args:
            url: "postgresql://user:password@host:port/database".
            store: Whose faults it raises.
            size: Connections at most.
        """
        database = cls(url, store, size)
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
            database._pool = pool
            try:
                yield database
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
                raise store_fault(self._store, reason, error) from None
            reason = reason_of_sqlstate(str(error.sqlstate or ""))
            raise store_fault(self._store, reason, error) from None
        except ValueError as error:  # a parameter that cannot be encoded
            raise store_fault(self._store, Reason.REASON_STORE_REFUSED, error) from None
        except LOST as error:
            raise store_fault(self._store, Reason.REASON_STORE_UNAVAILABLE, error) from None

    def _name_pooler(self) -> None:
        now = time.monotonic()
        if now >= self._name_again:
            self._name_again = now + _REPEAT_S
            _log.error("%s: %s", TITLES[self._store], MEND)

    async def _migrate(self) -> None:
        async with self._acquire() as connection:
            applied = await migrate(connection, sorted(FOLDER.glob("*.sql")))
        for name in applied:
            _log.info("PostgreSQL: applied migration %s", name)
