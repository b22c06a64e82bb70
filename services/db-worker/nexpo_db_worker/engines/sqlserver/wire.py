"""The bytes between us and the server: TCP, and TLS over it or inside TDS.

The driver's own TLS needs a pyOpenSSL that is gone; this is the standard library's, on
the place where the driver lets one put a socket of one's own.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from typing import NoReturn, Self, cast

import pytds

from nexpo_db_worker.engines.sqlserver.prelogin import (
    Kind,
    MalformedError,
    packet,
    read_message,
)
from nexpo_db_worker.engines.sqlserver.tls_errors import explained

_CHUNK = 65536


class Wire:
    """A connection; used by one thread at a time.

    A connection that breaks is told in the driver's own words: for a ConnectionError
    it would sleep until the log-in's time is over.

    Attributes:
        timeout: Seconds that one read or write may take, once the log-in is done.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._deadline: float | None = deadline
        self.timeout: float | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    @classmethod
    def connect(cls, host: str, port: int, deadline: float) -> Self:
        """Connects.

        Args:
            host: Name or address.
            port: Of TCP.
            deadline: When, by time.monotonic(), it and all reading until `settle` is over.

        Raises:
            OSError: It could not.
        """
        found = socket.create_connection((host, port), max(deadline - time.monotonic(), 0.001))
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A connection that was idle when its server vanished shows within a minute.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5)
        return cls(found, deadline)

    def encrypt(self, context: ssl.SSLContext, name: str, *, inside: bool) -> None:
        """Does the TLS handshake.

        Args:
            context: What TLS must be like.
            name: Whose certificate it must be.
            inside: Whether the handshake travels in PRELOGIN packets.

        Raises:
            TlsError: It failed; says what to do.
        """
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        try:
            while not self._shaken(tls, inside=inside):
                self._incoming.write(self._handshake_part(inside=inside))
        except (OSError, MalformedError, pytds.ClosedConnectionError) as error:
            raise explained(error) from None
        self._tls = tls

    def end_encryption(self) -> None:
        """Goes on in clear text."""
        self._tls = None

    def settle(self) -> None:
        """The log-in is done: from now on only the driver's own time-out counts."""
        self._deadline = None

    @property
    def encrypted(self) -> bool:
        """Whether what is sent now is encrypted."""
        return self._tls is not None

    @property
    def stale(self) -> bool:
        """Whether the server closed it, or sent what nobody asked for, while it was idle."""
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(0)) or self._incoming.pending > 0
        except (OSError, ValueError):
            return True

    def close(self) -> None:
        """Breaks it off, under a thread that waits for an answer, too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def exactly(self, size: int) -> bytes:
        """So many bytes. Raises: pytds.ClosedConnectionError: The server has closed it."""
        found = bytearray(size)
        view = memoryview(found)
        while view:
            view = view[self.receive_into(view) :]
        return bytes(found)

    def receive_into(self, buffer: memoryview) -> int:
        """Reads what there is, one byte at least, into the buffer; returns how much.

        Raises:
            pytds.ClosedConnectionError: The server has closed it.
            TimeoutError: Nothing came in time.
        """
        if self._tls is None:
            return self._received(buffer)
        while True:
            try:
                # Into a buffer it gives the number of bytes, which the stubs do not know.
                return cast("int", self._tls.read(len(buffer), buffer)) or self._closed()
            except ssl.SSLWantReadError:
                chunk = memoryview(bytearray(_CHUNK))
                self._incoming.write(chunk[: self._received(chunk)])
            except ssl.SSLError:  # ended, or what came is not from the server
                self._closed()

    def send(self, data: bytes) -> None:
        """Sends it all. Raises as receive_into."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self._send(data)

    def _shaken(self, tls: ssl.SSLObject, *, inside: bool) -> bool:
        """Takes the handshake as far as it goes without the server; whether it is done."""
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            done = False
        except ssl.SSLError:
            with contextlib.suppress(OSError, pytds.ClosedConnectionError):
                self._say(inside=inside)  # the server is told why, too
            raise
        else:
            done = True
        self._say(inside=inside)
        return done

    def _say(self, *, inside: bool) -> None:
        if data := self._outgoing.read():
            self._send(packet(Kind.PRELOGIN, data) if inside else data)

    def _handshake_part(self, *, inside: bool) -> bytes:
        if inside:
            return read_message(self.exactly)[1]
        chunk = memoryview(bytearray(_CHUNK))
        return bytes(chunk[: self._received(chunk)])

    def _received(self, buffer: memoryview) -> int:
        self._socket.settimeout(self._patience())
        try:
            return self._socket.recv_into(buffer) or self._closed()
        except ConnectionError:
            self._closed()

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(self._patience())
        try:
            self._socket.sendall(data)
        except ConnectionError:
            self._closed()

    def _patience(self) -> float | None:
        if self._deadline is None:
            return self.timeout
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _closed(self) -> NoReturn:
        raise pytds.ClosedConnectionError from None
