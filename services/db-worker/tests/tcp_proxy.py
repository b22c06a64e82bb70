"""A TCP proxy between a store and its server, to make the network fail."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

Mode = Literal["open", "cut", "silent"]


class TcpProxy:
    """Forwards 127.0.0.1:port to a server, until it is told to fail.

    Attributes:
        port: Where it listens, the same from start to end.
        carried: Every byte that it read, both ways, as it came.
    """

    @classmethod
    def before(cls, url: str) -> Self:
        """A proxy before the host and port of a URL that names both."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        return cls(parts.hostname, parts.port)

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.carried = bytearray()
        self._target = (host, port)
        self._mode: Mode = "open"
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    def through(self, url: str) -> str:
        """The URL with this proxy in the place of its host and port."""
        parts = urlsplit(url)
        login, separator, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{separator}127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._drop()

    async def cut(self) -> None:
        """Closes every connection, and every new one at once."""
        self._mode = "cut"
        await self._drop()

    def silence(self) -> None:
        """Goes on carrying requests to the server, but no byte of its replies."""
        self._mode = "silent"

    async def mend(self) -> None:
        """Carries everything again, on new connections."""
        self._mode = "open"
        await self._drop()

    async def _drop(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            if self._mode != "cut":
                await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        pumps = [
            asyncio.create_task(self._pump(reader, up_writer, reply=False)),
            asyncio.create_task(self._pump(up_reader, writer, reply=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            up_writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reply: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.carried += data
                if reply and self._mode == "silent":
                    continue
                writer.write(data)
                await writer.drain()
