"""The start of a connection: PRELOGIN (MS-TDS 2.2.6.5) and LOGIN7 (MS-TDS 2.2.6.4)."""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from enum import IntEnum

from nexpo_standins.sqlserver import tokens
from nexpo_standins.sqlserver.errors import SqlError, login_failed
from nexpo_standins.sqlserver.packets import LARGEST, SMALLEST, ProtocolError
from nexpo_standins.sqlserver.tokens import Change, Done, Status

_TDS_74, _TDS_80 = 0x74000004, 0x08000000
_INTEGRATED_SECURITY = 0x80
_USER, _PASSWORD, _DATABASE = 40, 44, 68  # places of offset and length in LOGIN7
_FIXED_PART = 94


class Encrypt(IntEnum):
    """What PRELOGIN says of encryption."""

    LOGIN_ONLY = 0
    ON = 1
    NOT_SUPPORTED = 2
    REQUIRED = 3


@dataclass(frozen=True, slots=True)
class Login:
    """Who wants in, and how.

    Attributes:
        user: Name of the log-in.
        password: Its password.
        database: Wanted database; the default when empty.
        packet_size: How large packets may be, in bytes.
        version: Of TDS: 7.4 or 8.0, which differ in their encryption alone.
    """

    user: str
    password: str
    database: str
    packet_size: int
    version: int


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in.

    Attributes:
        user: The only log-in.
        password: Its password.
        database: The only database.
    """

    user: str
    password: str
    database: str

    def check(self, login: Login) -> None:
        """Raises SqlError 18456 or 4060 unless the log-in may come in."""
        same_user = hmac.compare_digest(login.user.encode(), self.user.encode())
        same_password = hmac.compare_digest(login.password.encode(), self.password.encode())
        if not (same_user and same_password):
            raise login_failed(login.user)
        if login.database.lower() not in ("", self.database.lower()):
            raise SqlError(
                4060,
                f'Cannot open database "{login.database}" requested by the login.',
                severity=11,
            )


def wanted_encryption(prelogin: bytes) -> Encrypt:
    """What the client asks for. Raises ProtocolError when PRELOGIN is malformed."""
    at = 0
    while at + 5 <= len(prelogin) and prelogin[at] != 0xFF:
        token, offset, length = struct.unpack_from(">BHH", prelogin, at)
        if token == 1:
            try:
                return Encrypt(prelogin[offset : offset + length][0])
            except (IndexError, ValueError):
                raise ProtocolError("a PRELOGIN whose encryption is unknown") from None
        at += 5
    return Encrypt.NOT_SUPPORTED


def agreed_encryption(wanted: Encrypt, able: bool, required: bool) -> Encrypt:
    """The server's answer (MS-TDS 2.2.6.5, the table of ENCRYPTION).

    Args:
        wanted: What the client asked for.
        able: Whether the server has a certificate.
        required: Whether it lets nobody in without ("Force Encryption").
    """
    if not able:
        return Encrypt.NOT_SUPPORTED
    if required:
        return Encrypt.REQUIRED if wanted is Encrypt.NOT_SUPPORTED else Encrypt.ON
    return Encrypt.ON if wanted is Encrypt.REQUIRED else wanted


def prelogin_reply(encryption: Encrypt) -> bytes:
    """Version 16.0, no instance, no MARS."""
    options = [
        (0, bytes([16, 0, 0, 0, 0, 0])),
        (1, bytes([encryption])),
        (2, b"\x00"),
        (3, b""),
        (4, b"\x00"),
    ]
    offset = 5 * len(options) + 1
    head, body = b"", b""
    for token, value in options:
        head += struct.pack(">BHH", token, offset + len(body), len(value))
        body += value
    return head + b"\xff" + body


def read_login(data: bytes, *, strict: bool = False) -> Login:
    """Reads LOGIN7. Raises ProtocolError when it is malformed or of a version it may not have.

    Strict encryption allows TDS 8.0, and 7.4 as well: SQL Server 2022 lets in clients that
    leave their version as it was.
    """
    if len(data) < _FIXED_PART:
        raise ProtocolError("a log-in that is too short")
    version, packet_size = struct.unpack_from("<LL", data, 4)
    if version != _TDS_74 and not (strict and version == _TDS_80):
        raise ProtocolError(f"TDS version 0x{version:08X}")
    if data[25] & _INTEGRATED_SECURITY:
        raise ProtocolError("integrated security")
    return Login(
        user=_text(_field(data, _USER)),
        password=_text(bytes(_revealed(octet) for octet in _field(data, _PASSWORD))),
        database=_text(_field(data, _DATABASE)),
        packet_size=min(max(packet_size, SMALLEST), LARGEST),
        version=version,
    )


def _field(data: bytes, place: int) -> bytes:
    offset, characters = struct.unpack_from("<HH", data, place)
    end = offset + 2 * characters
    if end > len(data):
        raise ProtocolError("a log-in that points outside itself")
    return data[offset:end]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise ProtocolError("a log-in that is not UTF-16") from error


def _revealed(octet: int) -> int:
    octet ^= 0xA5
    return (octet << 4) & 0xF0 | octet >> 4


def welcome(login: Login, database: str) -> bytes:
    """What follows an accepted log-in."""
    size = str(login.packet_size)
    return b"".join(
        [
            tokens.changed_text(Change.DATABASE, database, "master"),
            tokens.info(5701, f"Changed database context to '{database}'."),
            tokens.collation(),
            tokens.changed_text(Change.LANGUAGE, "us_english"),
            tokens.login_ack(login.version),
            tokens.changed_text(Change.PACKET_SIZE, size, "4096"),
            tokens.done(Done.STATEMENT, Status.FINAL),
        ]
    )


def refusal(login: Login, error: SqlError) -> bytes:
    """What follows a refused log-in; SQL Server ends every refusal with 18456."""
    errors = [error] if error.number == 18456 else [error, login_failed(login.user)]
    return b"".join(map(tokens.error, errors)) + tokens.done(Done.STATEMENT, Status.ERROR)
