"""An ASGI application on one or more addresses, inside the service's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals are the service's affair: it drains in its own order.
        yield


class HttpServer:
    """Serves an application.

    Args:
        app: The application.
        addresses: `host:port`s to bind; port 0 is a free one.
    """

    def __init__(self, app: ASGIApp, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._server = _Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
        )
        self._task: asyncio.Task[None] | None = None
        self.ports: list[int] = []

    async def start(self) -> None:
        """Binds and serves; `ports` are then the real ones.

        Raises:
            OSError: An address is taken or is none of this machine's.
        """
        sockets = [_bound(address) for address in self._addresses]
        self.ports = [sock.getsockname()[1] for sock in sockets]
        self._task = asyncio.create_task(self._server.serve(sockets))
        await self._server.serving.wait()

    async def stop(self, grace: float) -> None:
        """Refuses new requests, lets those under way finish for `grace` seconds."""
        if self._task is None:
            return
        self._server.should_exit = True
        try:
            async with asyncio.timeout(grace):
                await asyncio.shield(self._task)
        except TimeoutError:
            self._server.force_exit = True
            await self._task


def _bound(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, int(port)))
    except OSError as error:
        sock.close()
        raise OSError(f"cannot listen on {address}: {error.strerror}") from None
    return sock
