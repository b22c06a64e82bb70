"""A TCP proxy that makes a network misbehave on command.

    async with FaultProxy(target=postgres.port) as proxy:
        client = connect("127.0.0.1", proxy.port)
        proxy.hold_replies(containing=b"INSERT 0 1")  # the effect happens, nobody hears of it
        ...
        await proxy.held()
        proxy.heal()

It looks into the bytes only for the patterns it is given, so it serves any protocol without TLS.
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from nexpo_dev import ports

_CHUNK = 65536


@dataclass(frozen=True)
class _Fault:
    kind: Literal["none", "cut", "delay", "hold replies", "reset replies"]
    seconds: float = 0.0
    to: bytes = b""
    containing: bytes = b""


_NONE = _Fault("none")


class FaultProxy:
    """Forwards 127.0.0.1:port to 127.0.0.1:target, with one fault at a time, none at first.

    Args:
        target: port of the server behind it.
        port: port to listen on; None for a free one.
    """

    def __init__(self, target: int, *, port: int | None = None) -> None:
        self.target = target
        self.port = port or ports.choose()
        self._fault = _NONE
        self._changed = asyncio.Event()
        self._held = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    def heal(self) -> None:
        """Pass everything on again, first what was held."""
        self._set(_NONE)

    def cut(self) -> None:
        """Reset every connection, and every new one, until healed."""
        self._set(_Fault("cut"))
        for connection in list(self._connections):
            connection.reset()

    def delay(self, seconds: float) -> None:
        """Pass every piece of data on so many seconds late, each way."""
        self._set(_Fault("delay", seconds=seconds))

    def hold_replies(self, *, to: bytes = b"", containing: bytes = b"") -> None:
        """Pass requests on, but keep the replies: the effect happens, its report does not come.

        On each connection it begins with the first reply that has `containing` in it after a
        request that had `to` in it; everything after that is held too.
        """
        self._set(_Fault("hold replies", to=to, containing=containing))

    def reset_replies(self, *, to: bytes = b"", containing: bytes = b"") -> None:
        """Pass on the first half of such a reply (see hold_replies), then reset the connection."""
        self._set(_Fault("reset replies", to=to, containing=containing))

    async def held(self) -> None:
        """Wait until the present fault has held or reset something."""
        await self._held.wait()

    async def __aenter__(self) -> Self:
        if not ports.is_free(self.port):
            raise ports.PortTakenError(self.port, "a fault proxy")
        self._server = await asyncio.start_server(self._accept, ports.HOST, self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*(connection.done.wait() for connection in list(self._connections)))

    def _set(self, fault: _Fault) -> None:
        self._fault = fault
        self._held.clear()
        self._changed.set()
        self._changed = asyncio.Event()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            connection.done.set()

    # What a connection asks of its proxy.

    @property
    def fault(self) -> _Fault:
        """The fault now."""
        return self._fault

    async def hold(self, fault: _Fault) -> None:
        """Wait until another fault is set."""
        self._held.set()
        while self._fault is fault:
            await self._changed.wait()

    def tell(self) -> None:
        """Let `held` know that the fault has struck."""
        self._held.set()


class _Connection:
    """One client's connection and its counterpart to the server."""

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._from_client = reader
        self._to_client = writer
        self._to_server: asyncio.StreamWriter | None = None
        self._asked: _Fault | None = None  # the fault whose `to` was in a request
        self.done = asyncio.Event()

    async def run(self) -> None:
        """Forward until one side ends."""
        try:
            from_server, self._to_server = await asyncio.open_connection(
                ports.HOST, self._proxy.target
            )
        except OSError:
            self.reset()
            return
        if self._proxy.fault.kind == "cut":
            self.reset()
            return
        pumps = [
            asyncio.create_task(self._pump_requests(self._to_server)),
            asyncio.create_task(self._pump_replies(from_server)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for writer in (self._to_client, self._to_server):
                writer.close()

    def reset(self) -> None:
        """End both sides with a TCP reset, dropping what is under way."""
        for writer in (self._to_client, self._to_server):
            if writer is not None:
                at_once = struct.pack("ii", 1, 0)
                with contextlib.suppress(OSError):
                    raw: socket.socket = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                writer.transport.abort()

    async def _pump_requests(self, to_server: asyncio.StreamWriter) -> None:
        seen = b""
        while data := await self._from_client.read(_CHUNK):
            fault = self._proxy.fault
            if fault.kind == "delay":
                await asyncio.sleep(fault.seconds)
            elif fault.to in seen + data:
                self._asked = fault
            seen = data[-100:]
            to_server.write(data)
            await to_server.drain()
        with contextlib.suppress(OSError):
            to_server.write_eof()

    async def _pump_replies(self, from_server: asyncio.StreamReader) -> None:
        seen = b""
        while data := await from_server.read(_CHUNK):
            fault = self._proxy.fault
            struck = fault.to == b"" or self._asked is fault
            struck = struck and fault.containing in seen + data
            if fault.kind == "delay":
                await asyncio.sleep(fault.seconds)
            elif fault.kind == "hold replies" and struck:
                await self._proxy.hold(fault)
            elif fault.kind == "reset replies" and struck:
                self._to_client.write(data[: len(data) // 2])
                await self._to_client.drain()
                self._proxy.tell()
                self.reset()
                return
            seen = data[-100:]
            self._to_client.write(data)
            await self._to_client.drain()
        with contextlib.suppress(OSError):
            self._to_client.write_eof()
