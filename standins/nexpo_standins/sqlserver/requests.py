"""What a logged-in client asks for, read from its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nexpo_standins.sqlserver.datatypes import Parameter, read_parameter
from nexpo_standins.sqlserver.errors import SqlError, unknown
from nexpo_standins.sqlserver.packets import Kind, Message, ProtocolError
from nexpo_standins.sqlserver.stream import Stream

_PROCEDURE_IDS = {10: "sp_executesql"}
_ISOLATION = {1: "READ UNCOMMITTED", 2: "READ COMMITTED", 3: "REPEATABLE READ"}
_ISOLATION |= {4: "SERIALIZABLE", 5: "SNAPSHOT"}


@dataclass(frozen=True, slots=True)
class Batch:
    """T-SQL, alone or as sp_executesql with parameters."""

    sql: str
    parameters: tuple[Parameter, ...] = ()
    in_procedure: bool = False


@dataclass(frozen=True, slots=True)
class Procedure:
    """A call of a stored procedure."""

    name: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """A request to the transaction manager (MS-TDS 2.2.6.9).

    Attributes:
        verb: "begin", "commit" or "rollback".
        begin_another: Whether a transaction begins where one has ended.
        isolation: Of the one that begins; empty to leave it.
    """

    verb: str
    begin_another: bool = False
    isolation: str = ""


Request: TypeAlias = Batch | Procedure | TransactionRequest


def read_request(message: Message) -> Request:
    """Reads a message.

    Raises:
        SqlError: It asks for what the stand-in does not know.
        ProtocolError: It is not TDS.
    """
    stream = Stream(message.payload)
    if message.kind in (Kind.BATCH, Kind.RPC, Kind.TRANSACTION):
        stream.take(stream.u32() - 4)  # ALL_HEADERS: the transaction is the session's anyway
    match message.kind:
        case Kind.BATCH:
            rest = stream.rest()
            return Batch(Stream(rest).text(len(rest) // 2))
        case Kind.RPC:
            return _read_call(stream)
        case Kind.TRANSACTION:
            return _read_transaction_request(stream)
        case Kind.BULK:
            raise unknown("bulk load")
    raise ProtocolError(f"a message of kind {message.kind}")


def _read_call(stream: Stream) -> Request:
    length = stream.u16()
    if length == 0xFFFF:
        number = stream.u16()
        name = _PROCEDURE_IDS.get(number, f"procedure {number}")
    else:
        name = stream.text(length)
    stream.u16()  # options: recompile, no metadata
    parameters = []
    while stream:
        parameters.append(read_parameter(stream))
    short = name.lower().removeprefix("sys.")
    if short != "sp_executesql":
        return Procedure(short, tuple(parameters))
    if not parameters or not isinstance(parameters[0].value, str):
        raise SqlError(214, "Procedure expects parameter '@statement' of type 'nvarchar'.")
    return Batch(parameters[0].value, tuple(parameters[2:]), in_procedure=True)


def _read_transaction_request(stream: Stream) -> TransactionRequest:
    match stream.u16():
        case 5:
            return TransactionRequest("begin", isolation=_ISOLATION.get(stream.byte(), ""))
        case 7 | 8 as verb:
            stream.take(stream.byte())  # the transaction's name
            another = bool(stream.byte() & 0x01)
            isolation = _ISOLATION.get(stream.byte(), "") if another else ""
            return TransactionRequest("commit" if verb == 7 else "rollback", another, isolation)
        case other:
            raise unknown(f"request {other} to the transaction manager")
