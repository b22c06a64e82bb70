"""A Supabase project that may be away now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import asyncpg
import httpx
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, create_async_client

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.providers.postgres.lost import LOST
from nexpo_db_worker.providers.postgres.migrations import migrate
from nexpo_db_worker.providers.preparation import Preparation
from nexpo_db_worker.providers.sqlstate import UNIQUE_VIOLATION, reason_of_sqlstate
from nexpo_db_worker.providers.supabase.access import CLOSE, close
from nexpo_db_worker.providers.supabase.migrations import FILES
from nexpo_runtime.errors import Fault

# All of it together stays under the 10 s that an attempt of an activity may take.
_CONNECT_S = 3.0
_COMMAND_S = 5.0
_WHOLE_S = 7.0
_RELOAD_S = 5.0
_SQLSTATE_LENGTH = 5
_MAX_RETRY_AFTER_S = 60

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class ApiRefusal(Exception):
    """An answer other than a success.

    Attributes:
        status: HTTP status.
        code: SQLSTATE, PostgREST's own (PGRST...), or "HTTP " and the status.
        constraint: The constraint that a unique violation names, or "".
        retry_after: When to try again, if the answer says so.
    """

    status: int
    code: str
    constraint: str
    retry_after: timedelta | None

    @property
    def unknown_table(self) -> bool:
        """Whether the API does not know the table (yet): it reads the schema in its own time."""
        return self.status == httpx.codes.NOT_FOUND or self.code.startswith("PGRST2")

    @property
    def reason(self) -> Reason.ValueType:
        """What it means for the catalogue."""
        if self.status == httpx.codes.TOO_MANY_REQUESTS or self.code == "PGRST003":
            return Reason.REASON_STORE_THROTTLED  # PGRST003: no free connection in time
        if self.unknown_table or self.code.startswith("PGRST0"):  # PGRST0: no connection
            return Reason.REASON_STORE_UNAVAILABLE
        if len(self.code) == _SQLSTATE_LENGTH:
            return reason_of_sqlstate(self.code)
        if self.status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return Reason.REASON_STORE_DENIED
        if self.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return Reason.REASON_STORE_UNAVAILABLE
        return Reason.REASON_STORE_REFUSED


class Project:
    """The client of a project whose schema is made before its first use.

    Opening it connects nothing: a project that is away is met at the first call.
    """

    def __init__(self, client: AsyncClient, database_url: str | None) -> None:
        self._client = client
        self._database_url = database_url
        self._prepared = Preparation(self._migrate)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, key: str, database_url: str | None) -> AsyncIterator[Self]:
        """Opens the client; closes it at the end.

        Args:
            url: The project's URL.
            key: A service-role or secret key.
            database_url: The project's database, for migrations only; None when
                its schema is made by hand.
        """
        async with httpx.AsyncClient(
            transport=_Transport(),
            timeout=httpx.Timeout(_COMMAND_S, connect=_CONNECT_S),
            event_hooks={"response": [_refuse]},
        ) as http:
            options = AsyncClientOptions(
                httpx_client=http,
                postgrest_client_retry=False,
                auto_refresh_token=False,
                persist_session=False,
            )
            yield cls(await create_async_client(url, key, options), database_url)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        """The client, with the schema made.

        Raises:
            Fault: STORE_UNAVAILABLE, STORE_THROTTLED, STORE_DENIED, STORE_REFUSED.
            ApiRefusal: A unique index refused; for the caller to judge.
        """
        try:
            async with asyncio.timeout(_WHOLE_S):
                await self._prepared()
                yield self._client
        except ApiRefusal as refusal:
            if refusal.code == UNIQUE_VIOLATION:
                raise
            fault = _fault(refusal.reason, refusal)
            fault.retry_after = refusal.retry_after
            raise fault from None
        except asyncpg.PostgresError as error:
            raise _fault(reason_of_sqlstate(str(error.sqlstate or "")), error) from None
        except ValueError as error:  # text that is no JSON, or cannot be
            raise _fault(Reason.REASON_STORE_REFUSED, error) from None
        except (httpx.HTTPError, APIError, *LOST) as error:
            raise _fault(Reason.REASON_STORE_UNAVAILABLE, error) from None

    async def _migrate(self) -> None:
        if self._database_url is not None:
            # Supabase offers a pooler in transaction mode first: no statement outlives one.
            connection = await asyncpg.connect(
                self._database_url, timeout=_CONNECT_S, statement_cache_size=0
            )
            try:
                applied = await migrate(connection, FILES, after=CLOSE)
                closed = await close(connection)
            finally:
                connection.terminate()
            for name in applied:
                _log.info("Supabase: applied migration %s", name)
            if closed:
                _log.warning("Supabase: closed to the public roles: %s", ", ".join(closed))
        await self._shown()

    async def _shown(self) -> None:
        """Waits until the API knows the tables.

        A change of no row asks for that: a select passes before the API knows.
        """
        async with asyncio.timeout(_RELOAD_S):
            for table, column in (("nexpo_users", "etag"), ("nexpo_claims", "resource")):
                while not await self._knows(table, column):  # noqa: ASYNC110  # no event to wait for
                    await asyncio.sleep(0.1)

    async def _knows(self, table: str, column: str) -> bool:
        try:
            await self._client.table(table).update({column: None}).eq("id", 0).execute()
        except ApiRefusal as refusal:
            if refusal.unknown_table and self._database_url is not None:
                return False
            if refusal.unknown_table:
                _log.warning(
                    "Supabase: the API does not know the table %s; set"
                    " SUPABASE_DATABASE_URL, or apply the migrations by hand",
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


def _fault(reason: Reason.ValueType, cause: Exception) -> Fault:
    return store_fault(Store.STORE_SUPABASE, reason, cause)


async def _refuse(response: httpx.Response) -> None:
    """Raises what the client library would lose: it keeps no HTTP status."""
    if response.is_success:
        return
    await response.aread()
    try:
        content = response.json()
    except ValueError:
        content = None
    body = content if isinstance(content, dict) else {}
    message, wait = str(body.get("message") or ""), response.headers.get("retry-after", "")
    raise ApiRefusal(
        response.status_code,
        str(body.get("code") or f"HTTP {response.status_code}"),
        # 'duplicate key value violates unique constraint "nexpo_users_email"'
        constraint=message.split('"')[1] if message.count('"') == 2 else "",
        retry_after=timedelta(seconds=min(int(wait), _MAX_RETRY_AFTER_S))
        if wait.isdecimal()
        else None,
    )
