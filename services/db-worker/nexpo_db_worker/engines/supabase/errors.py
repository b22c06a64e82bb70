"""What the API's refusals mean for the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import httpx

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.engines.postgres.errors import reason_of_sqlstate

_SQLSTATE_LENGTH = 5
_MAX_RETRY_AFTER_S = 60


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


async def refuse(response: httpx.Response) -> None:
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
