"""One connection to a SQL Server: where it goes, how it begins, what it runs."""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

import pytds
from pytds.tds_types import NVarCharType

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")

# All of them together stay under the 10 s that an attempt of an activity may take.
CONNECT_S = 3.0
QUERY_S = 4.0
_LOCK_MS = 3000
_DEFAULT_PORT = 1433
_LONGEST_TYPED = 4000  # characters; above it only NVARCHAR(MAX) is left

Row = Sequence[Any]

# The driver tells of every statement at INFO.
logging.getLogger("pytds").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the database is, and who asks.

    Attributes:
        host: Host name or address.
        port: TCP port.
        database: Name of the database.
        user: SQL Server log-in.
        password: Its password.
    """

    host: str
    port: int
    database: str
    user: str
    password: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Reads "mssql://user:password@host:port/database".

        Raises:
            ValueError: The URL is malformed; the text does not repeat it.
        """
        parts = urlsplit(url)
        database = unquote(parts.path.removeprefix("/"))
        complete = parts.hostname and parts.username and database
        if parts.scheme != "mssql" or parts.query or not complete:
            raise ValueError("Not like mssql://user:password@host:port/database.")
        return cls(
            host=parts.hostname or "",
            port=parts.port or _DEFAULT_PORT,
            database=database,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )


class BrokenReplyError(pytds.InterfaceError):  # type: ignore[misc]  # pytds is untyped
    """What the server sent is not what the driver can read."""


class _Socket(socket.socket):
    """Reports a lost connection in the driver's own words.

    For a ConnectionError the driver would sleep until the log-in's time is over.
    """

    @classmethod
    def connected(cls, host: str, port: int) -> Self:
        plain = socket.create_connection((host, port), CONNECT_S)
        timeout = plain.gettimeout()
        found = cls(plain.family, plain.type, plain.proto, plain.detach())
        found.settimeout(timeout)
        # A connection that was idle when its server vanished shows within a minute.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5)
        return found

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        try:
            return super().recv_into(buffer, nbytes, flags)
        except ConnectionError:
            raise pytds.ClosedConnectionError from None

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        try:
            super().sendall(data, flags)
        except ConnectionError:
            raise pytds.ClosedConnectionError from None


class Connection:
    """A logged-in connection; used by one thread at a time.

    Every statement stands for itself unless `transaction` says otherwise, and any
    error rolls back all of a transaction (XACT_ABORT).
    """

    def __init__(self, target: Target) -> None:
        """Connects and logs in; takes at most twice CONNECT_S.

        Raises:
            pytds.Error, OSError: It could not.
        """
        self._socket = _Socket.connected(target.host, target.port)
        try:
            self._link = self._driver(lambda: self._log_in(target))
            self.execute(f"SET XACT_ABORT ON; SET LOCK_TIMEOUT {_LOCK_MS};")
        except BaseException:
            self._socket.close()
            raise

    def _log_in(self, target: Target) -> Any:
        return pytds.connect(
            dsn=target.host,
            port=target.port,
            database=target.database,
            user=target.user,
            password=target.password,
            appname="nexpo-db-worker",
            login_timeout=CONNECT_S,
            timeout=QUERY_S,
            disable_connect_retry=True,
            autocommit=True,
            sock=self._socket,
        )

    @property
    def stale(self) -> bool:
        """Whether the server closed it, or sent what nobody asked for, while it was idle."""
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(0))
        except (OSError, ValueError):
            return True

    def close(self) -> None:
        """Breaks it off; the server rolls back what is open."""
        self._socket.close()

    def execute(self, statements: str, **values: object) -> tuple[int, list[Row]]:
        """Runs a batch.

        Args:
            statements: T-SQL with %(name)s for each value.
            values: None, bool, int, str, bytes, UUID, or datetime in UTC without zone.

        Returns:
            How many rows the first statement changed, and the rows of the last.

        Raises:
            pytds.Error, OSError: It failed.
        """
        parameters = {name: _typed(value) for name, value in values.items()}
        return self._driver(lambda: self._run(statements, parameters))

    def _run(self, statements: str, parameters: dict[str, object]) -> tuple[int, list[Row]]:
        cursor = self._link.cursor()
        cursor.execute(statements, parameters or None)
        changed = int(cursor.rowcount)
        rows: list[Row] = []
        while True:
            if cursor.description:
                rows = cursor.fetchall()
            if not cursor.nextset():
                return changed, rows

    def begin(self) -> None:
        """BEGIN TRANSACTION."""
        self.execute("BEGIN TRANSACTION;")

    def commit(self) -> None:
        """COMMIT TRANSACTION."""
        self.execute("COMMIT TRANSACTION;")

    def lock(self, name: str) -> bool:
        """Takes a lock of this name until the transaction ends; False when others keep it."""

        def call() -> int:
            cursor = self._link.cursor()
            parameters = {
                "@Resource": name,
                "@LockMode": "Exclusive",
                "@LockOwner": "Transaction",
                "@LockTimeout": _LOCK_MS,
            }
            cursor.callproc("sp_getapplock", parameters)
            return int(cursor.get_proc_return_status())

        return self._driver(call) >= 0

    def _driver(self, call: Callable[[], T]) -> T:
        """Calls the driver; on bytes that are no TDS it raises whatever comes to it."""
        try:
            return call()
        except (pytds.Error, OSError):
            raise
        except Exception as error:
            raise BrokenReplyError(type(error).__name__) from error


def _typed(value: object) -> object:
    # As NVARCHAR(4000) a string can be looked up in an index; the driver's own
    # NVARCHAR(MAX) would have every look-up converted first.
    if isinstance(value, str) and len(value.encode("utf-16-le")) <= 2 * _LONGEST_TYPED:
        return pytds.tds_base.Param(type=NVarCharType(size=_LONGEST_TYPED), value=value)
    return value
