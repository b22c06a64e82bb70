"""An ASGI application on one or more addresses, inside the service's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp

from .http_connection import MOST_OF_A_HEAD, connection_with


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


KEEP_ALIVE = 5.0
"""Seconds that an idle connection stays open when nobody says otherwise."""

Malformed = Callable[[int], tuple[str, bytes]]
"""Content type and body of the answer with a status to what is no HTTP request."""


class HttpServer:
    """Serves an application.

    Args:
        app: The application.
        addresses: `host:port`s to bind; port 0 is a free one.
        keep_alive: Seconds that an idle connection stays open.
        malformed: Makes the answer to what is no HTTP request.
    """

    def __init__(
        self,
        app: ASGIApp,
        addresses: Sequence[str],
        *,
        keep_alive: float = KEEP_ALIVE,
        malformed: Malformed | None = None,
    ) -> None:
        self._addresses = addresses
        config = uvicorn.Config(
            app,
            http=connection_with(malformed or _plain),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            # Whoever connects says by X-Forwarded-For what they like.
            proxy_headers=False,
            h11_max_incomplete_event_size=MOST_OF_A_HEAD,
        )
        # Its annotation says whole seconds; all that becomes of it is a timer's.
        config.timeout_keep_alive = keep_alive  # type: ignore[assignment]
        self._server = _Server(config)
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


def _plain(status: int) -> tuple[str, bytes]:
    return "text/plain; charset=utf-8", b"This is no HTTP request that can be read."
