"""A TCP proxy that makes a network misbehave on command.

    async with FaultProxy(postgres.port) as proxy:
        client = connect("127.0.0.1", proxy.port)
        proxy.cut()  # strikes all alike; also silence and delay
        proxy.heal()
        rule = proxy.add(Rule("hold reply", contains=(b"INSERT", b"ada@")))  # strikes what fits
        await rule.struck()  # the effect has happened, nobody has heard of it
        rule.release()

Rules look into the bytes, so they serve any protocol without TLS. A held request is passed on even
when its sender has gone: that is how an effect comes late.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from nexpo_dev import ports
from nexpo_dev.fault_rules import Rule

_CHUNK = 65536
_LOOKED_INTO = 1 << 20  # bytes of a request; rules do not see what comes after
_CONTINUE = b"HTTP/1.1 100"


class FaultProxy:
    """Forwards 127.0.0.1:port to a server; at first it passes everything on.

    Args:
        target: port of the server behind it.
        host: of that server.
        record: whether to keep what it carries.

    Attributes:
        port: where it listens, the same from start to end.
        carried: every byte that it read, both ways, as it came; empty without `record`.
        unframe: takes out of a request what would stand between its parts, for rules to see.
    """

    @classmethod
    def before(cls, url: str) -> Self:
        """A proxy before the host and port of a URL that names both."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        return cls(parts.port, host=parts.hostname)

    def __init__(self, target: int, *, host: str = ports.HOST, record: bool = False) -> None:
        self.target = target
        self.host = host
        self.port = ports.choose()
        self.carried = bytearray()
        self.unframe: Callable[[bytes], bytes] = bytes
        self._record = record
        self._rules: list[Rule] = []
        self._is_cut = False
        self._late_by = 0.0
        self._audible = asyncio.Event()
        self._audible.set()
        self._server: asyncio.Server | None = None
        self._connections: dict[_Connection, asyncio.Task[None]] = {}

    def through(self, url: str) -> str:
        """The URL with this proxy in the place of its host and port."""
        parts = urlsplit(url)
        login, separator, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{separator}{ports.HOST}:{self.port}"))

    def cut(self) -> None:
        """Reset every connection, and every new one, until healed."""
        self._is_cut = True
        for connection, task in self._connections.items():
            connection.reset()
            task.cancel()

    def silence(self) -> None:
        """Pass requests on, but keep every byte of the replies until healed."""
        self._audible.clear()

    def delay(self, seconds: float) -> None:
        """Pass every piece of data on so many seconds late, each way, until healed."""
        self._late_by = seconds

    def add(self, rule: Rule) -> Rule:
        """Follow one more rule; of those that fit, the first one that does not only watch."""
        self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """Pass everything on again, first what silence kept; forget rules and what they hold."""
        self._is_cut = False
        self._late_by = 0.0
        self._audible.set()
        for rule in self._rules:
            rule.drop()
        self._rules.clear()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, ports.HOST, self.port)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._connections.values(), return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        if self._is_cut:
            connection.reset()
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        try:
            await connection.run()
        except asyncio.CancelledError:
            # Its loop ends, and nobody waits for it; Python 3.11 would report that as a fault.
            connection.reset()
        finally:
            del self._connections[connection]

    # What a connection asks of its proxy.

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """What comes next, as late as it is to be; nothing at the end and after a reset."""
        try:
            data = await reader.read(_CHUNK)
        except OSError:
            return b""
        if self._record:
            self.carried += data
        await asyncio.sleep(self._late_by)
        return data

    async def heard(self) -> None:
        """Wait until replies are passed on."""
        await self._audible.wait()

    def match(self, request: bytes, seen: set[Rule]) -> Rule | None:
        """The rule for a request, each at most once an exchange; those that watch are told."""
        if not self._rules:
            return None
        visible = self.unframe(request).lower()
        chosen: Rule | None = None
        for rule in self._rules:
            watches = rule.action == "watch"
            if rule in seen or (chosen and not watches) or not rule.fits(visible):
                continue
            seen.add(rule)
            if watches:
                rule.strike()
            else:
                chosen = rule
        return chosen


class _Connection:
    """One client's connection and its counterpart to the server.

    An exchange is what comes from the client until a reply, and that reply.
    """

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._from_client = reader
        self._to_client = writer
        self._to_server: asyncio.StreamWriter | None = None
        self._request = b""
        self._seen: set[Rule] = set()  # in this exchange
        self._rule: Rule | None = None  # waits for the reply
        self._replied = asyncio.Event()
        self._replied.set()
        self._on_hold = False

    async def run(self) -> None:
        """Forward until both sides have ended, or one is reset."""
        try:
            async with asyncio.TaskGroup() as self._pumps:
                to_server = await self._reach_server()
                self._pumps.create_task(self._pump_requests(to_server))
        except* OSError:
            self.reset()
        finally:
            self._to_client.close()
            if self._to_server is not None:
                self._to_server.close()

    def reset(self) -> None:
        """End both sides with a TCP reset, dropping what is under way."""
        for writer in (self._to_client, self._to_server):
            if writer is not None:
                at_once = struct.pack("ii", 1, 0)
                with contextlib.suppress(OSError):
                    raw: socket.socket = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                writer.transport.abort()

    async def _reach_server(self) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection(self._proxy.host, self._proxy.target)
        self._to_server = writer
        self._replies = self._pumps.create_task(self._pump_replies(reader, writer))
        return writer

    async def _pump_requests(self, to_server: asyncio.StreamWriter) -> None:
        while data := await self._proxy.read(self._from_client):
            rule = self._match(data)
            if rule is not None and rule.action == "answer":
                rule.strike()
                self._to_client.write(rule.answer)
                self._to_client.close()
                to_server.transport.abort()
                return
            if rule is not None and rule.action == "hold request":
                request = self._request
                self._on_hold = True
                await rule.hold()
                self._on_hold = False
                if self._replies.done():  # the server has closed an idle connection meanwhile
                    to_server, data = await self._reach_server(), request
            if rule is not None:
                self._rule = rule
                self._replied.clear()
            to_server.write(data)
            await to_server.drain()
        await self._replied.wait()  # what was held takes its course although its sender is gone
        _pass_end(self._to_client, to_server)

    def _match(self, data: bytes) -> Rule | None:
        if self._replies.done() or len(self._request) > _LOOKED_INTO:
            return None
        self._request += data
        return self._proxy.match(self._request, self._seen)

    async def _pump_replies(
        self, from_server: asyncio.StreamReader, to_server: asyncio.StreamWriter
    ) -> None:
        while data := await self._proxy.read(from_server):
            await self._proxy.heard()
            interim = data.startswith(_CONTINUE) and data.endswith(b"\r\n\r\n")
            if not interim:
                await self._end_exchange(data)
            with contextlib.suppress(ConnectionError):  # who asked may be dead
                self._to_client.write(data)
                await self._to_client.drain()
        self._replied.set()
        if not self._on_hold:
            _pass_end(to_server, self._to_client)

    async def _end_exchange(self, reply: bytes) -> None:
        rule = self._rule
        if rule is not None and rule.action == "hold reply":
            await rule.hold()
        elif rule is not None and rule.action == "reset reply":
            rule.strike()
            self._to_client.write(reply[: len(reply) // 2])
            raise ConnectionResetError("half-way through a reply")
        elif rule is not None:
            rule.note_late_answer()
        self._rule = None
        self._request = b""
        self._seen.clear()
        self._replied.set()


def _pass_end(source: asyncio.StreamWriter, sink: asyncio.StreamWriter) -> None:
    """Tell one side that the other has ended, as it has: half, or by a reset."""
    if sink.is_closing():
        return
    if source.is_closing():
        raise ConnectionResetError("reset by the other side")
    sink.write_eof()
