"""A Supabase project that may be away now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import asyncpg
import httpx
from postgrest import AsyncRequestBuilder
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, create_async_client

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.postgres.errors import LOST, UNIQUE_VIOLATION, reason_of_sqlstate
from nexpo_db_worker.engines.postgres.migrations import migrate
from nexpo_db_worker.engines.postgres.rows import table_name
from nexpo_db_worker.engines.preparation import Preparation
from nexpo_db_worker.engines.supabase.access import CLOSE, close
from nexpo_db_worker.engines.supabase.errors import ApiRefusal, refuse

# All of it together stays under the 10 s that an attempt of an activity may take.
_CONNECT_S = 3.0
_COMMAND_S = 5.0
_WHOLE_S = 7.0
_RELOAD_S = 5.0

_log = logging.getLogger(__name__)


class Project:
    """The client of a project whose schema is made before its first use.

    Opening it connects nothing: a project that is away is met at the first call.
    """

    def __init__(
        self,
        client: AsyncClient,
        database_url: str | None,
        origin: Origin,
        migrations: Sequence[Migration],
    ) -> None:
        self.origin = origin
        self._client = client
        self._database_url = database_url
        self._migrations = migrations
        self._prepared = Preparation(self._migrate)
        self._shown: dict[str, Preparation] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        key: str,
        database_url: str | None,
        origin: Origin,
        migrations: Sequence[Migration],
    ) -> AsyncIterator[Self]:
        """Opens the client; closes it at the end.

        Args:
            url: The project's URL.
            key: A service-role or secret key.
            database_url: The project's database, for migrations only; None when
                its schema is made by hand.
            origin: Whose faults it raises.
            migrations: What the database must have seen, in order.
        """
        async with httpx.AsyncClient(
            transport=_Transport(),
            timeout=httpx.Timeout(_COMMAND_S, connect=_CONNECT_S),
            event_hooks={"response": [refuse]},
        ) as http:
            options = AsyncClientOptions(
                httpx_client=http,
                postgrest_client_retry=False,
                auto_refresh_token=False,
                persist_session=False,
            )
            client = await create_async_client(url, key, options)
            yield cls(client, database_url, origin, migrations)

    @asynccontextmanager
    async def table(self, table: Table) -> AsyncIterator[AsyncRequestBuilder]:
        """Requests about a table, which is made and which the API knows.

        Raises:
            Fault: STORE_UNAVAILABLE, STORE_THROTTLED, STORE_DENIED, STORE_REFUSED.
            ApiRefusal: A unique index refused; for the caller to judge.
        """
        name, column = table_name(table), table.id
        shown = self._shown.setdefault(name, Preparation(lambda: self._show(name, column)))
        async with self._faults(), asyncio.timeout(_WHOLE_S):
            await self._prepared()
            await shown()
            yield self._client.table(name)

    async def ping(self) -> None:
        """Answers when the project does. Raises: Fault: As table."""
        async with self._faults(), asyncio.timeout(_WHOLE_S):
            await self._prepared()
            await self._client.table("nexpo_migrations").select("name").limit(1).execute()

    async def version(self) -> str:
        """PostgREST's, of its description of the API: "14.1". Raises: Fault: As table."""
        async with self._faults(), asyncio.timeout(_WHOLE_S):
            await self._prepared()
            rest = self._client.postgrest
            answer = await rest.session.get(str(rest.base_url), headers=rest.headers)
            return str(answer.json().get("info", {}).get("version", "")).partition(" ")[0]

    @asynccontextmanager
    async def _faults(self) -> AsyncIterator[None]:
        try:
            yield
        except ApiRefusal as refusal:
            if refusal.code == UNIQUE_VIOLATION:
                raise
            fault = self.origin.fault(refusal.reason, refusal)
            fault.retry_after = refusal.retry_after
            raise fault from None
        except asyncpg.PostgresError as error:
            reason = reason_of_sqlstate(str(error.sqlstate or ""))
            raise self.origin.fault(reason, error) from None
        except ValueError as error:  # text that is no JSON, or cannot be
            raise self.origin.fault(Reason.REASON_STORE_REFUSED, error) from None
        except (httpx.HTTPError, APIError, *LOST) as error:
            raise self.origin.fault(Reason.REASON_STORE_UNAVAILABLE, error) from None

    async def _migrate(self) -> None:
        if self._database_url is not None:
            # Supabase offers a pooler in transaction mode first: no statement outlives one.
            connection = await asyncpg.connect(
                self._database_url, timeout=_CONNECT_S, statement_cache_size=0
            )
            try:
                applied = await migrate(connection, self._migrations, after=CLOSE)
                closed = await close(connection)
            finally:
                connection.terminate()
            for name in applied:
                _log.info("%s: applied migration %s", self.origin.title, name)
            if closed:
                names = ", ".join(closed)
                _log.warning("%s: closed to the public roles: %s", self.origin.title, names)

    async def _show(self, table: str, column: str) -> None:
        """Waits until the API knows a table."""
        async with asyncio.timeout(_RELOAD_S):
            while not await self._knows(table, column):  # noqa: ASYNC110  # no event to wait for
                await asyncio.sleep(0.1)

    async def _knows(self, table: str, column: str) -> bool:
        """Asks by a change of no row: a select passes before the API knows."""
        try:
            await self._client.table(table).update({column: None}).eq("id", 0).execute()
        except ApiRefusal as refusal:
            if refusal.unknown_table and self._database_url is not None:
                return False
            if refusal.unknown_table:
                _log.warning(
                    "%s: the API does not know the table %s; set SUPABASE_DATABASE_URL, or apply"
                    " the migrations by hand",
                    self.origin.title,
                    table,
                )
            raise
        return True


class _Transport(httpx.AsyncHTTPTransport):
    """Tells of a connection that is reset just after it was made as of any other lost one."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AttributeError as error:
            # anyio asks the closed socket for its peer and finds None.
            raise httpx.ConnectError("lost when it was just made", request=request) from error
