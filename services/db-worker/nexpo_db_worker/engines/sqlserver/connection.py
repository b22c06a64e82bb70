"""One connection to a SQL Server: where it goes, how it begins, what it runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytds
from pytds.tds_types import NVarCharType

from nexpo_db_worker.engines.sqlserver.target import Target
from nexpo_db_worker.engines.sqlserver.tls_errors import TlsError
from nexpo_db_worker.engines.sqlserver.transport import Moved, Transport

T = TypeVar("T")

# What an attempt of an activity waits for is limited by the pool, to less than its 10 s.
# Four round trips: PRELOGIN, two of the TLS handshake, the log-in; a slow network has its time.
CONNECT_S = 5.0
QUERY_S = 4.0
_LOCK_MS = 3000
_MOVES = 3  # Azure SQL sends a client on once
_LONGEST_TYPED = 4000  # characters; above it only NVARCHAR(MAX) is left

Row = Sequence[Any]

# The driver tells of every statement at INFO.
logging.getLogger("pytds").setLevel(logging.WARNING)


class BrokenReplyError(pytds.InterfaceError):  # type: ignore[misc]  # pytds is untyped
    """What the server sent is not what the driver can read."""


class Connection:
    """A logged-in connection; used by one thread at a time.

    Every statement stands for itself unless `transaction` says otherwise, and any
    error rolls back all of a transaction (XACT_ABORT).
    """

    def __init__(self, target: Target) -> None:
        """Connects, encrypts and logs in; takes at most CONNECT_S and QUERY_S.

        Raises:
            pytds.Error, OSError: It could not.
        """
        ends = time.monotonic() + CONNECT_S
        for _ in range(_MOVES):
            self._transport = Transport.open(target, ends - time.monotonic())
            try:
                self._log_in(target)
                self.execute(f"SET XACT_ABORT ON; SET LOCK_TIMEOUT {_LOCK_MS};")
                return
            except Moved as moved:
                self._transport.close()
                target = target.moved(moved.host, moved.port)
            except BaseException:
                self._transport.close()
                raise
        raise TlsError("the server sends us from host to host; connect to the last one directly")

    def _log_in(self, target: Target) -> None:
        options = {
            "dsn": target.host,
            "port": target.port,
            "database": target.database,
            "user": target.user,
            "password": target.password,
            "appname": "nexpo-db-worker",
            "login_timeout": CONNECT_S,
            "timeout": QUERY_S,
            "disable_connect_retry": True,
            "autocommit": True,
            "sock": self._transport,
        }
        self._link = self._driver(lambda: pytds.connect(**options))

    @property
    def encrypted(self) -> bool:
        """Whether what is sent is encrypted."""
        return self._transport.encrypted

    @property
    def version(self) -> str:
        """The server's, as it greeted with it: "16.0.4155"."""
        number = int(self._link.product_version)
        return f"{number >> 24}.{number >> 16 & 0xFF}.{number & 0xFFFF}"

    @property
    def stale(self) -> bool:
        """Whether the server closed it, or sent what nobody asked for, while it was idle."""
        return self._transport.stale

    def close(self) -> None:
        """Breaks it off; the server rolls back what is open."""
        self._transport.close()

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

    def execute_for(self, seconds: float, statements: str) -> None:
        """Runs a batch that may take longer than others. Raises: As execute."""
        usual = self._transport.gettimeout()
        self._transport.settimeout(seconds)
        self.execute(statements)
        self._transport.settimeout(usual)  # after an error it is closed

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
        except (pytds.Error, OSError, Moved):
            raise
        except Exception as error:
            raise BrokenReplyError(type(error).__name__) from error


def _typed(value: object) -> object:
    # As NVARCHAR(4000) a string can be looked up in an index; the driver's own
    # NVARCHAR(MAX) would have every look-up converted first.
    if isinstance(value, str) and len(value.encode("utf-16-le")) <= 2 * _LONGEST_TYPED:
        return pytds.tds_base.Param(type=NVarCharType(size=_LONGEST_TYPED), value=value)
    return value
