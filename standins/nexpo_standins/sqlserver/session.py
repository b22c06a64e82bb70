"""One logged-in client: runs what it asks for on its own PostgreSQL connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import asyncpg

from nexpo_standins.sqlserver import tokens
from nexpo_standins.sqlserver.datatypes import Parameter, column_type
from nexpo_standins.sqlserver.errors import SqlError, unknown
from nexpo_standins.sqlserver.packets import Message
from nexpo_standins.sqlserver.requests import Batch, Procedure, TransactionRequest, read_request
from nexpo_standins.sqlserver.tokens import Done, Status
from nexpo_standins.sqlserver.transaction import Transaction
from nexpo_standins.sqlserver.translate import (
    Begin,
    Commit,
    Query,
    Rollback,
    SetOption,
    Statement,
    Use,
    translate,
)

_LOCK_POLL_S = 0.02
_ALWAYS_ON = {
    "ANSI_NULLS",
    "ANSI_PADDING",
    "ANSI_WARNINGS",
    "ARITHABORT",
    "CONCAT_NULL_YIELDS_NULL",
    "QUOTED_IDENTIFIER",
}
_TERMINATED = tokens.info(3621, "The statement has been terminated.")


class Session:
    """Answers one request after the other.

    Args:
        backend: A PostgreSQL connection of its own.
        spid: Number of the session.
        database: Name of the only database.
    """

    def __init__(self, backend: asyncpg.Connection, spid: int, database: str) -> None:
        self._backend = backend
        self._spid = spid
        self._database = database
        self._transaction = Transaction(backend)
        self._count_rows = True
        self._row_count = 0

    async def answer(self, message: Message) -> bytes:
        """The reply to a request.

        Raises:
            ProtocolError: The request is not TDS.
            BackendLost: PostgreSQL is gone, and so is the session.
        """
        if message.reset:
            await self._reset()
        try:
            match read_request(message):
                case Batch() as batch:
                    return await self._batch(batch)
                case Procedure() as call:
                    return await self._procedure(call)
                case TransactionRequest() as request:
                    await self._manage(request)
                    status = Status.FINAL
                    body = b""
        except SqlError as error:
            body, status = tokens.error(error), Status.ERROR
        return self._transaction.take_changes() + body + tokens.done(Done.STATEMENT, status)

    async def _reset(self) -> None:
        if self._transaction.count:
            await self._transaction.rollback()
        self._transaction = Transaction(self._backend)
        self._count_rows = True
        await self._set(SetOption("LOCK_TIMEOUT", "-1"))

    async def _batch(self, batch: Batch) -> bytes:
        types = tuple((parameter.name, parameter.postgres) for parameter in batch.parameters)
        values = {parameter.name: parameter.value for parameter in batch.parameters}
        kind = Done.IN_PROCEDURE if batch.in_procedure else Done.STATEMENT
        reply = bytearray()
        status, failed = Status.FINAL, 0
        statements = translate(batch.sql, types)
        for left in range(len(statements) - 1, -1, -1):
            more = Status.MORE if left or batch.in_procedure else Status.FINAL
            ending: bytes
            try:
                result, count = await self._execute(statements[-1 - left], values)
                ending = tokens.done(kind, more | self._state(), count)
            except SqlError as error:
                failed = error.number
                result = tokens.error(error) + _TERMINATED
                if error.ends_batch or self._transaction.xact_abort:
                    reply += self._transaction.take_changes() + result
                    status = Status.ERROR
                    break
                ending = tokens.done(kind, more | Status.ERROR | self._state())
            reply += self._transaction.take_changes() + result + ending
        if batch.in_procedure:
            reply += tokens.return_status(failed)
            reply += tokens.done(Done.PROCEDURE, status | self._state())
        elif status or not statements:
            reply += tokens.done(Done.STATEMENT, status | self._state())
        return bytes(reply)

    def _state(self) -> Status:
        return Status.IN_TRANSACTION if self._transaction.count else Status.FINAL

    async def _execute(
        self, statement: Statement, values: Mapping[str, object]
    ) -> tuple[bytes, int | None]:
        """Runs a statement; returns its result's tokens and the number of its rows."""
        match statement:
            case Query():
                return await self._query(statement, values)
            case Begin():
                await self._transaction.begin()
            case Commit():
                await self._transaction.commit()
            case Rollback():
                await self._transaction.rollback()
            case SetOption():
                await self._set(statement)
            case Use(database):
                if database.lower() != self._database.lower():
                    raise SqlError(911, f"Database '{database}' does not exist.")
        return b"", None

    async def _query(self, query: Query, values: Mapping[str, object]) -> tuple[bytes, int | None]:
        bound = [self._value(name, values) for name in query.values]
        async with self._transaction.statement():
            prepared = await self._backend.prepare(query.sql)
            described = [
                (column.name, column_type(column.type.name)) for column in prepared.get_attributes()
            ]
            records = await prepared.fetch(*bound)
        kinds = [kind for _, kind in described]
        result = tokens.columns(described) if described else b""
        result += b"".join(tokens.row(kinds, tuple(record.values())) for record in records)
        affected = prepared.get_statusmsg().rpartition(" ")[2]
        count = int(affected) if affected.isdigit() else None
        self._row_count = count or 0
        return result, count if self._count_rows else None

    def _value(self, name: str, values: Mapping[str, object]) -> object:
        match name:
            case "@@trancount":
                return self._transaction.count
            case "@@spid":
                return self._spid
            case "@@rowcount":
                return self._row_count
            case "@@version":
                return "Nexpo stand-in for SQL Server 2022: TDS over PostgreSQL, not T-SQL"
            case "@@servername":
                return tokens.SERVER_NAME
        return values[name]

    async def _set(self, option: SetOption) -> None:
        match option.name, option.value:
            case "XACT_ABORT", "ON" | "OFF":
                self._transaction.xact_abort = option.value == "ON"
            case "NOCOUNT", "ON" | "OFF":
                self._count_rows = option.value == "OFF"
            case "TRANSACTION ISOLATION LEVEL", level:
                self._transaction.set_level(level)
            case "LOCK_TIMEOUT", wait if wait.lstrip("-").isdigit():
                # -1 waits for ever, which PostgreSQL calls 0; and 0 does not wait.
                limit = {-1: 0, 0: 1}.get(int(wait), int(wait))
                async with self._transaction.statement():
                    await self._backend.execute(f"SET lock_timeout = {limit}")
            case name, "ON" if name in _ALWAYS_ON:
                pass
            case name, value:
                raise unknown(f"SET {name} {value}")

    async def _manage(self, request: TransactionRequest) -> None:
        match request.verb:
            case "commit":
                await self._transaction.commit()
            case "rollback":
                await self._transaction.rollback()
        if request.verb == "begin" or request.begin_another:
            if request.isolation:
                self._transaction.set_level(request.isolation)
            await self._transaction.begin()

    async def _procedure(self, call: Procedure) -> bytes:
        if call.name != "sp_getapplock":
            raise SqlError(2812, f"Could not find stored procedure '{call.name}'.")
        result = await self._get_application_lock(call.parameters)
        return tokens.return_status(result) + tokens.done(
            Done.PROCEDURE, Status.FINAL | self._state()
        )

    async def _get_application_lock(self, parameters: tuple[Parameter, ...]) -> int:
        """sp_getapplock of a transaction: 0 when granted, 1 after a wait, -1 when not."""
        given = {parameter.name: parameter.value for parameter in parameters}
        owner = given.get("@lockowner", "Transaction")
        if (given.get("@lockmode"), owner) != ("Exclusive", "Transaction"):
            raise unknown("this kind of application lock; only exclusive ones of a transaction")
        if not self._transaction.count:
            raise SqlError(15604, "sp_getapplock with a transaction as owner needs one.")
        wait = given.get("@locktimeout")
        deadline = time.monotonic() + (wait / 1000 if isinstance(wait, int) else 3600)
        query = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
        waited = 0
        while True:
            async with self._transaction.statement():
                granted = await self._backend.fetchval(query, str(given.get("@resource")))
            if granted:
                return waited
            if time.monotonic() >= deadline:
                return -1
            waited = 1
            await asyncio.sleep(_LOCK_POLL_S)
