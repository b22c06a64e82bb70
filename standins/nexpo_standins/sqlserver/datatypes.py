"""T-SQL's types on the wire (MS-TDS 2.2.5.4, 2.2.5.5) and in PostgreSQL."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import cast

from nexpo_standins.sqlserver.errors import SqlError, unknown
from nexpo_standins.sqlserver.stream import Stream

COLLATION = bytes.fromhex("0904d00034")  # SQL_Latin1_General_CP1_CI_AS
_EPOCH = datetime(1, 1, 1)
_SCALE = 7
_UNITS_PER_SECOND = 10_000_000
_TIME_BYTES = (3, 3, 3, 4, 4, 5, 5, 5)
_MAX = 0xFFFF
_PLP_NULL = 0xFFFFFFFFFFFFFFFF

INT, BIT, GUID = 0x26, 0x68, 0x24
NVARCHAR, VARBINARY = 0xE7, 0xA5
DATETIME2, DATETIMEOFFSET = 0x2A, 0x2B


@dataclass(frozen=True, slots=True)
class ColumnType:
    """How a column's values are sent.

    Attributes:
        info: TYPE_INFO, as it stands in COLMETADATA.
        encode: Makes a ROW's bytes of a value, or of None.
    """

    info: bytes
    encode: Callable[[object], bytes]


def _counted(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    """Values with a length in one byte; 0 is NULL."""

    def encoded(value: object) -> bytes:
        body = b"" if value is None else encode(value)
        return bytes([len(body)]) + body

    return encoded


def _chunked(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    """Values of unbounded length, in one chunk (PLP, MS-TDS 2.2.5.2.3)."""

    def encoded(value: object) -> bytes:
        if value is None:
            return struct.pack("<Q", _PLP_NULL)
        body = encode(value)
        chunk = struct.pack("<L", len(body)) + body if body else b""
        return struct.pack("<Q", len(body)) + chunk + struct.pack("<L", 0)

    return encoded


def _integer(size: int) -> Callable[[object], bytes]:
    def encoded(value: object) -> bytes:
        number: int = cast(int, value)
        return number.to_bytes(size, "little", signed=True)

    return encoded


def _moment(value: object) -> bytes:
    since = cast(datetime, value) - _EPOCH
    units = since.seconds * _UNITS_PER_SECOND + since.microseconds * 10
    return units.to_bytes(5, "little") + since.days.to_bytes(3, "little")


def _moment_utc(value: object) -> bytes:
    utc = cast(datetime, value).astimezone(UTC).replace(tzinfo=None)
    return _moment(utc) + b"\x00\x00"


_BIT = ColumnType(bytes([BIT, 1]), _counted(lambda value: bytes([1 if value else 0])))
_TEXT = ColumnType(
    struct.pack("<BH", NVARCHAR, _MAX) + COLLATION,
    _chunked(lambda value: str(value).encode("utf-16-le")),
)

# By the name of PostgreSQL's type. BIT is a smallint there, so that tombstone = 0 holds.
COLUMN_TYPES: dict[str, ColumnType] = {
    "int2": _BIT,
    "bool": _BIT,
    "int4": ColumnType(bytes([INT, 4]), _counted(_integer(4))),
    "int8": ColumnType(bytes([INT, 8]), _counted(_integer(8))),
    "text": _TEXT,
    "varchar": _TEXT,
    "name": _TEXT,
    "bytea": ColumnType(
        struct.pack("<BH", VARBINARY, _MAX), _chunked(lambda value: cast(bytes, value))
    ),
    "uuid": ColumnType(bytes([GUID, 16]), _counted(lambda value: cast(uuid.UUID, value).bytes_le)),
    "timestamp": ColumnType(bytes([DATETIME2, _SCALE]), _counted(_moment)),
    "timestamptz": ColumnType(bytes([DATETIMEOFFSET, _SCALE]), _counted(_moment_utc)),
}


def column_type(postgres: str) -> ColumnType:
    """How to send a column of PostgreSQL's type. Raises SqlError for one it does not know."""
    try:
        return COLUMN_TYPES[postgres]
    except KeyError:
        raise unknown(f"a result of the PostgreSQL type {postgres}") from None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A typed value that a client sent.

    Attributes:
        name: Such as "@p1", in lower case; empty when it goes by its place.
        postgres: Its type in PostgreSQL.
        value: The value, or None.
    """

    name: str
    postgres: str
    value: object


def read_parameter(stream: Stream) -> Parameter:
    """Reads one parameter of an RPC (MS-TDS 2.2.6.6): name, flags, type, value."""
    name = stream.text(stream.byte()).lower()
    if stream.byte() & 0x01:
        raise unknown("an OUTPUT parameter")
    postgres, value = _read_value(stream)
    return Parameter(name, postgres, value)


def _read_value(stream: Stream) -> tuple[str, object]:
    match stream.byte():
        case 0x68:
            stream.byte()
            body = stream.take(stream.byte())
            return "smallint", int(body[0] != 0) if body else None
        case 0x26:
            size = stream.byte()
            body = stream.take(stream.byte())
            value = int.from_bytes(body, "little", signed=size > 1) if body else None
            return "bigint" if size == 8 else "integer", value
        case 0x24:
            stream.byte()
            body = stream.take(stream.byte())
            return "uuid", uuid.UUID(bytes_le=body) if body else None
        case 0xE7:
            return "text", _read_text(stream)
        case 0xA5:
            return "bytea", _read_long(stream, stream.u16())
        case 0x2A:
            scale = stream.byte()
            return "timestamp", _read_moment(stream.take(stream.byte()), scale)
        case 0x2B:
            scale = stream.byte()
            return "timestamptz", _read_moment_zoned(stream.take(stream.byte()), scale)
        case other:
            raise unknown(f"a parameter of the TDS type 0x{other:02X}")


def _read_text(stream: Stream) -> str | None:
    size = stream.u16()
    stream.take(len(COLLATION))
    body = _read_long(stream, size)
    if body is None:
        return None
    try:
        return body.decode("utf-16-le")
    except UnicodeDecodeError:
        raise SqlError(8178, "A parameter of the type NVARCHAR is not UTF-16.") from None


def _read_long(stream: Stream, size: int) -> bytes | None:
    if size != _MAX:
        length = stream.u16()
        return None if length == _MAX else stream.take(length)
    if stream.u64() == _PLP_NULL:
        return None
    chunks = bytearray()
    while length := stream.u32():
        chunks += stream.take(length)
    return bytes(chunks)


def _read_moment(body: bytes, scale: int) -> datetime | None:
    if not body:
        return None
    width = _TIME_BYTES[scale]
    units = int.from_bytes(body[:width], "little")
    days = int.from_bytes(body[width : width + 3], "little")
    return _EPOCH + timedelta(days=days, microseconds=units * 10**6 // 10**scale)


def _read_moment_zoned(body: bytes, scale: int) -> datetime | None:
    utc = _read_moment(body[:-2], scale)
    if utc is None:
        return None
    offset = timedelta(minutes=int.from_bytes(body[-2:], "little", signed=True))
    return utc.replace(tzinfo=UTC).astimezone(timezone(offset))
