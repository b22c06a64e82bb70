"""Packets and messages: the outermost layer of TDS (MS-TDS 2.2.3)."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

_HEADER = struct.Struct(">BBHHBB")  # type, status, length, spid, packet id, window
_LAST = 0x01
_RESET = 0x08 | 0x10
_MESSAGE_LIMIT = 64 << 20
SMALLEST, LARGEST = 512, 32767


class Kind(IntEnum):
    """What a message is."""

    BATCH = 1
    RPC = 3
    REPLY = 4
    ATTENTION = 6
    BULK = 7
    TRANSACTION = 14
    LOGIN = 16
    PRELOGIN = 18


@dataclass(frozen=True, slots=True)
class Message:
    """A message, put together from its packets.

    Attributes:
        kind: A value of Kind, or a number that is none.
        payload: Its bytes without the packets' headers.
        reset: Whether the session must be reset before it is served.
    """

    kind: int
    payload: bytes
    reset: bool = False


class ProtocolError(Exception):
    """What arrived is not TDS; the connection cannot go on."""


class Source(Protocol):
    """What messages are read from."""

    async def readexactly(self, size: int, /) -> bytes:
        """So many bytes. Raises asyncio.IncompleteReadError when there are fewer."""


async def read_message(reader: Source) -> Message | None:
    """The next message; None when the client has closed the connection.

    Raises:
        ProtocolError: A header is impossible, or the message too large.
    """
    payload = bytearray()
    reset = False
    while True:
        try:
            header = await reader.readexactly(_HEADER.size)
            kind, status, length, _, _, _ = _HEADER.unpack(header)
            if length < _HEADER.size or len(payload) + length > _MESSAGE_LIMIT:
                raise ProtocolError(f"a packet of {length} bytes")
            payload += await reader.readexactly(length - _HEADER.size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        reset = reset or bool(status & _RESET)
        if status & _LAST:
            return Message(kind, bytes(payload), reset)


def reply(payload: bytes, packet_size: int, spid: int) -> bytes:
    """A reply, cut into packets that are all full but the last."""
    return framed(payload, Kind.REPLY, packet_size, spid)


def framed(payload: bytes, kind: Kind, packet_size: int = 4096, spid: int = 0) -> bytes:
    """A message of this kind, cut into packets."""
    room = packet_size - _HEADER.size
    parts = [payload[at : at + room] for at in range(0, len(payload), room)] or [b""]
    packets = bytearray()
    for number, part in enumerate(parts, 1):
        status = _LAST if number == len(parts) else 0
        length = _HEADER.size + len(part)
        packets += _HEADER.pack(kind, status, length, spid, number % 256, 0) + part
    return bytes(packets)
