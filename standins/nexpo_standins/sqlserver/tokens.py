"""Tokens: what replies are made of (MS-TDS 2.2.7)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum, IntFlag

from nexpo_standins.sqlserver.datatypes import COLLATION, ColumnType
from nexpo_standins.sqlserver.errors import SqlError

SERVER_NAME = "nexpo-dev"
_PRODUCT = "Nexpo stand-in for SQL Server"
_NULLABLE = 0x01


class Done(IntEnum):
    """The three tokens that end a statement, a procedure's statement, a procedure."""

    STATEMENT = 0xFD
    PROCEDURE = 0xFE
    IN_PROCEDURE = 0xFF


class Status(IntFlag):
    """Flags of a Done token."""

    FINAL = 0x00
    MORE = 0x01
    ERROR = 0x02
    IN_TRANSACTION = 0x04
    COUNT = 0x10
    ATTENTION = 0x20


class Change(IntEnum):
    """What an environment change is about."""

    DATABASE = 1
    LANGUAGE = 2
    PACKET_SIZE = 4
    COLLATION = 7
    BEGIN = 8
    COMMIT = 9
    ROLLBACK = 10


def _short_text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("utf-16-le")


def _long_text(text: str) -> bytes:
    encoded = text.encode("utf-16-le")
    return struct.pack("<H", len(encoded) // 2) + encoded


def _sized(token: int, body: bytes) -> bytes:
    return struct.pack("<BH", token, len(body)) + body


def _message(token: int, error: SqlError) -> bytes:
    head = struct.pack("<lBB", error.number, error.state, error.severity)
    texts = _long_text(error.text[:2000]) + _short_text(SERVER_NAME) + _short_text("")
    return _sized(token, head + texts + struct.pack("<l", 1))


def error(failure: SqlError) -> bytes:
    """ERROR, with its number, severity and text."""
    return _message(0xAA, failure)


def info(number: int, text: str) -> bytes:
    """INFO: like ERROR, but nothing has failed."""
    return _message(0xAB, SqlError(number, text, severity=0))


def changed_text(what: Change, new: str, old: str = "") -> bytes:
    """ENVCHANGE whose values are text."""
    return _sized(0xE3, bytes([what]) + _short_text(new) + _short_text(old))


def changed_bytes(what: Change, new: bytes, old: bytes = b"") -> bytes:
    """ENVCHANGE whose values are bytes: collations, transaction descriptors."""
    return _sized(0xE3, bytes([what, len(new)]) + new + bytes([len(old)]) + old)


def collation() -> bytes:
    """ENVCHANGE that names the server's collation."""
    return changed_bytes(Change.COLLATION, COLLATION)


def login_ack(version: int) -> bytes:
    """LOGINACK: T-SQL over this version of TDS, as SQL Server 2022 (16.0) says it."""
    product = bytes([16, 0, 0, 0])
    return _sized(0xAD, struct.pack(">BL", 1, version) + _short_text(_PRODUCT) + product)


def done(kind: Done, status: Status, count: int | None = None) -> bytes:
    """One of the Done tokens, with the number of rows where there is one."""
    if count is not None:
        status |= Status.COUNT
    return struct.pack("<BHHQ", kind, status, 0, count or 0)


def return_status(value: int) -> bytes:
    """RETURNSTATUS: what a procedure returned."""
    return struct.pack("<Bl", 0x79, value)


def columns(described: Sequence[tuple[str, ColumnType]]) -> bytes:
    """COLMETADATA: names and types of a result's columns."""
    head = struct.pack("<BH", 0x81, len(described))
    return head + b"".join(
        struct.pack("<LH", 0, _NULLABLE) + kind.info + _short_text(name[:128])
        for name, kind in described
    )


def row(kinds: Sequence[ColumnType], values: Sequence[object]) -> bytes:
    """ROW: one value per column."""
    return b"\xd1" + b"".join(kind.encode(value) for kind, value in zip(kinds, values, strict=True))
