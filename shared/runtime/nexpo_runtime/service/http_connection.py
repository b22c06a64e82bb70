"""One HTTP connection: uvicorn's, with bounds on what a client can hold or hold up.

uvicorn times an idle connection only. Nothing bounds one on which a head comes
letter by letter, or none at all; and all that one read brings, 256 KiB, is parsed
before anything else runs: 0.3 s for a body in chunks of one byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

MOST_OF_A_HEAD = 32 * 1024
"""Bytes that a request's line and headers may have together."""

HEAD_SECONDS = 10.0
"""What a head may take, from the connection's or the head's first byte to its last."""

_LINGER_SECONDS = 2.0
_READ_BYTES = 16 * 1024
_NOTHING = bytearray()


class Connection(H11Protocol, asyncio.BufferedProtocol):
    """One connection; it gives the buffer to read into, so that a read is a small one.

    Attributes:
        malformed: Content type and body for what is no HTTP request, by the status.
    """

    malformed: Callable[[int], tuple[str, bytes]]
    _head_timer: asyncio.TimerHandle | None = None
    _buffer = _NOTHING
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Begins to wait for a head."""
        super().connection_made(transport)
        self._await_head()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the next read goes."""
        self._buffer = bytearray(_READ_BYTES)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Takes what was read."""
        data, self._buffer = bytes(memoryview(self._buffer)[:nbytes]), _NOTHING
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Takes what came, and times a head that is not complete."""
        if self._refused:
            return
        super().data_received(data)
        if self._serving():
            self._stop_timer()
        elif self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            # The end of a body that nobody has read: idle again.
            self._stop_timer()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif self._head_timer is None and not self.transport.is_closing():
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begins the idle time; a head is awaited from its first byte, which may be there."""
        self._stop_timer()
        super().on_response_complete()
        if not self._serving() and self.conn.trailing_data[0]:
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP request and ends the connection."""
        if self.cycle is not None:
            # Whoever waits for the rest of the body learns that there is none.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        status = self._status()
        content_type, body = self.malformed(status)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        # Closed at once, it would be reset when the client still sends, with the answer unread.
        self._refused = True
        self.transport.write_eof()
        self._stop_timer()
        self._head_timer = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def _status(self) -> int:
        """The status that the parser found fit for its refusal."""
        too_large = len(self.conn.trailing_data[0]) > MOST_OF_A_HEAD
        return 431 if too_large else 400

    def _serving(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_late)

    def _head_late(self) -> None:
        self._head_timer = None
        if not self._serving():
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def connection_with(malformed: Callable[[int], tuple[str, bytes]]) -> type[Connection]:
    """Connections that answer so to what is no HTTP request."""
    return type("Connection", (Connection,), {"malformed": staticmethod(malformed)})
