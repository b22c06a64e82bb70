"""Calls that are begun and never made: a client that opens streams and sends no message."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from pathlib import Path

from nexpo_gateway.surfaces.grpc import MOST_STREAMS

from .clients import PARCELS
from .in_process import gateway_in_process

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _SETTINGS = 1, 4
_ACK, _END_HEADERS = 1, 4
_TASKS_OF_A_CALL = 2
_OTHER_TASKS = 100


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    length = struct.pack(">I", len(payload))[1:]
    return length + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def head(path: str) -> bytes:
    """The headers of a gRPC call, as literals (RFC 7541, section 6.2.2); nobody is named."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "nexpo",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    texts = ((name.encode(), value.encode()) for name, value in fields.items())
    return b"".join(
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in texts
    )


async def test_calls_that_are_begun_and_never_made_are_bounded(keys_file: Path) -> None:
    async with gateway_in_process(keys_file) as gateway:
        await gateway.parcel("FindParcels", depot="x")
        before = len(asyncio.all_tasks())
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.grpc_port)
        writer.write(_PREFACE + frame(_SETTINGS, 0, 0) + frame(_SETTINGS, _ACK, 0))
        reading = asyncio.ensure_future(reader.read())
        call = head(PARCELS + "FindParcels")
        with contextlib.suppress(ConnectionError):  # the gateway may end it, too
            for number in range(4 * MOST_STREAMS):
                writer.write(frame(_HEADERS, _END_HEADERS, 2 * number + 1, call))
                if number % 100 == 0:
                    await writer.drain()
                    await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0.1)
            held = len(asyncio.all_tasks()) - before
            assert held <= _TASKS_OF_A_CALL * MOST_STREAMS + _OTHER_TASKS
        await gateway.parcel("FindParcels", depot="x")
        reading.cancel()
        writer.close()
