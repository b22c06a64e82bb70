"""PRELOGIN, by which client and server agree on encryption (MS-TDS 2.2.6.5), and packets."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from enum import IntEnum

_HEADER = struct.Struct(">BBHHBB")  # type, status, length, spid, packet id, window
HEADER_SIZE = _HEADER.size
_LAST = 0x01
_LONGEST_MESSAGE = 1 << 20
_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS, _END = 0, 1, 2, 3, 4, 0xFF
_ENVIRONMENT_CHANGE, _ROUTING = 0xE3, 20
_SIZED_TOKENS = frozenset({0xAA, 0xAB, 0xAD, _ENVIRONMENT_CHANGE})


class Kind(IntEnum):
    """What a packet is part of."""

    REPLY = 4
    LOGIN = 16
    PRELOGIN = 18


class Offer(IntEnum):
    """What one side says of encryption."""

    LOGIN_ONLY = 0
    ON = 1
    NOT_SUPPORTED = 2
    REQUIRED = 3


class MalformedError(Exception):
    """What arrived is not TDS."""


def packet(kind: Kind, payload: bytes) -> bytes:
    """A message of one packet."""
    return _HEADER.pack(kind, _LAST, HEADER_SIZE + len(payload), 0, 1, 0) + payload


def is_last(part: bytes) -> bool:
    """Whether a message ends with this packet."""
    return bool(part[1] & _LAST)


def read_message(exactly: Callable[[int], bytes]) -> tuple[int, bytes, bytes]:
    """Reads a message.

    Args:
        exactly: Gives so many bytes.

    Returns:
        Its kind, its payload, and its packets as they came.

    Raises:
        MalformedError: It is none.
    """
    payload, packets = bytearray(), bytearray()
    while True:
        header = exactly(HEADER_SIZE)
        kind, status, length, *_ = _HEADER.unpack(header)
        if kind not in (Kind.REPLY, Kind.PRELOGIN) or length < HEADER_SIZE:
            raise MalformedError
        body = exactly(length - HEADER_SIZE)
        payload += body
        packets += header + body
        if len(packets) > _LONGEST_MESSAGE:
            raise MalformedError
        if status & _LAST:
            return kind, bytes(payload), bytes(packets)


def prelogin(offer: Offer) -> bytes:
    """The payload of a PRELOGIN without MARS."""
    options = [
        (_VERSION, bytes(6)),
        (_ENCRYPTION, bytes([offer])),
        (_INSTANCE, b"\0"),
        (_THREAD, bytes(4)),
        (_MARS, b"\0"),
    ]
    at = 5 * len(options) + 1
    head, body = bytearray(), bytearray()
    for option, value in options:
        head += struct.pack(">BHH", option, at + len(body), len(value))
        body += value
    return bytes(head + bytes([_END]) + body)


def offered(payload: bytes) -> Offer:
    """What the server says of encryption. Raises: MalformedError."""
    at = 0
    while at + 5 <= len(payload) and payload[at] != _END:
        option, offset, length = struct.unpack_from(">BHH", payload, at)
        if option == _ENCRYPTION:
            if length != 1 or offset >= len(payload) or payload[offset] not in iter(Offer):
                raise MalformedError
            return Offer(payload[offset])
        at += 5
    raise MalformedError


def route(login_reply: bytes) -> tuple[str, int] | None:
    """Host and port that the server sends the client on to, as Azure SQL does, if it does."""
    for token, body in _sized_tokens(login_reply):
        if token != _ENVIRONMENT_CHANGE or body[:1] != bytes([_ROUTING]):
            continue
        try:  # type, length, protocol (0: TCP), port, host
            _, _, protocol, port, characters = struct.unpack_from("<BHBHH", body)
            host = body[8 : 8 + 2 * characters].decode("utf-16-le")
        except (struct.error, UnicodeDecodeError):
            raise MalformedError from None
        if protocol != 0 or not host:
            raise MalformedError
        return host, port
    return None


def _sized_tokens(reply: bytes) -> Iterator[tuple[int, bytes]]:
    """The tokens up to the first whose length does not stand before it."""
    at = 0
    while at + 3 <= len(reply) and reply[at] in _SIZED_TOKENS:
        length = int.from_bytes(reply[at + 1 : at + 3], "little")
        yield reply[at], reply[at + 3 : at + 3 + length]
        at += 3 + length
