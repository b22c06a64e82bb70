"""What the driver takes for its socket: it logs in in clear text, and all is encrypted.

Encryption is settled before the driver says a word; then it is told that the server
encrypts nothing, so it sends its log-in, which goes through TLS. Everything used of the
driver is its parameter `sock`.
"""

from __future__ import annotations

import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Self

import pytds

from nexpo_db_worker.engines.sqlserver.prelogin import (
    Kind,
    MalformedError,
    Offer,
    is_last,
    offered,
    packet,
    prelogin,
    read_message,
    route,
)
from nexpo_db_worker.engines.sqlserver.target import Encrypt, Target
from nexpo_db_worker.engines.sqlserver.tls_errors import TlsError
from nexpo_db_worker.engines.sqlserver.wire import Wire

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Moved(Exception):  # not an error: the server says where to go
    """The server wants the client to log in elsewhere, as Azure SQL's gateways do.

    Attributes:
        host: Where to.
        port: Of TCP.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__("The log-in goes on elsewhere.")
        self.host = host
        self.port = port


class _Phase(Enum):
    """How far the driver is."""

    PRELOGIN = auto()
    LOGIN = auto()
    REPLY = auto()
    IN = auto()


class Transport:
    """A connection that is encrypted as the target wants it, ready for the driver's log-in."""

    def __init__(self, wire: Wire, *, login_only: bool) -> None:
        self._wire = wire
        self._login_only = login_only
        self._phase = _Phase.PRELOGIN
        self._ready = memoryview(packet(Kind.REPLY, prelogin(Offer.NOT_SUPPORTED)))

    @classmethod
    def open(cls, target: Target, within: float) -> Self:
        """Connects and encrypts.

        Args:
            target: Where to, and how.
            within: Seconds for all of it, the log-in that follows included.

        Raises:
            TlsError: It cannot be encrypted as wanted; nothing secret was sent.
            pytds.Error, OSError: The server cannot be reached, or is none.
        """
        wire = Wire.connect(target.host, target.port, time.monotonic() + within)
        try:
            return cls(wire, login_only=_encrypt(wire, target))
        except MalformedError:
            wire.close()
            raise pytds.InterfaceError("What the server sent is not TDS.") from None
        except BaseException:
            wire.close()
            raise

    @property
    def stale(self) -> bool:
        """See Wire."""
        return self._wire.stale

    @property
    def encrypted(self) -> bool:
        """Whether what is sent now is encrypted."""
        return self._wire.encrypted

    # What the driver asks of a socket.

    def close(self) -> None:
        """Breaks it off."""
        self._wire.close()

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """The options are set already."""

    def gettimeout(self) -> float | None:
        """Seconds that one read or write may take."""
        return self._wire.timeout

    def settimeout(self, timeout: float | None) -> None:
        """Sets them; they count once the log-in is done, which has its own limit."""
        self._wire.timeout = timeout

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Sends a packet; the driver always gives whole ones."""
        part = bytes(data)
        match self._phase:
            case _Phase.PRELOGIN:  # was settled without it
                self._phase = _Phase.LOGIN
                return
            case _Phase.LOGIN:
                self._wire.send(part)
                if is_last(part):
                    self._phase = _Phase.REPLY
                    if self._login_only:
                        self._wire.end_encryption()
            case _:
                self._wire.send(part)

    def recv(self, size: int) -> bytes:
        """Some bytes."""
        buffer = bytearray(size)
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, buffer: WriteableBuffer, size: int = 0, flags: int = 0) -> int:
        """Reads some bytes into the buffer; returns how many.

        Raises:
            Moved: The server sends the client elsewhere.
        """
        view = memoryview(buffer).cast("B")
        view = view[: size or len(view)]
        if self._phase is _Phase.REPLY:
            self._read_login_reply()
        if not self._ready:
            return self._wire.receive_into(view)
        part = self._ready[: len(view)]
        view[: len(part)] = part
        self._ready = self._ready[len(part) :]
        return len(part)

    def _read_login_reply(self) -> None:
        # The driver would follow a route by itself, and in clear text.
        _, payload, packets = read_message(self._wire.exactly)
        if elsewhere := route(payload):
            if not self._wire.encrypted:  # anybody on the way could say so
                raise TlsError("the server sends us on in clear text; set Encrypt=mandatory")
            raise Moved(*elsewhere)
        self._ready = memoryview(packets)
        self._phase = _Phase.IN
        self._wire.settle()


def _encrypt(wire: Wire, target: Target) -> bool:
    """Agrees with the server and encrypts; whether the log-in alone is to be encrypted."""
    if target.encrypt is Encrypt.STRICT:
        _shake_hands(wire, target, inside=False)
        _agree(wire, Offer.NOT_SUPPORTED)  # whatever is answered: all is encrypted already
        return False
    optional = target.encrypt is Encrypt.OPTIONAL
    answer = _agree(wire, Offer.LOGIN_ONLY if optional else Offer.ON)
    everything = answer in (Offer.ON, Offer.REQUIRED)
    if not everything and not optional:
        raise TlsError(
            "the server offers no encryption, or somebody on the way says so; give the server a"
            " certificate, or, on a network that you trust, set Encrypt=optional"
        )
    if answer is not Offer.NOT_SUPPORTED:
        _shake_hands(wire, target, inside=True)
    return answer is Offer.LOGIN_ONLY


def _agree(wire: Wire, offer: Offer) -> Offer:
    wire.send(packet(Kind.PRELOGIN, prelogin(offer)))
    return offered(read_message(wire.exactly)[1])


def _shake_hands(wire: Wire, target: Target, *, inside: bool) -> None:
    try:
        context = target.tls()
    except OSError:
        raise TlsError("the file of Certificate in SQLSERVER_URL holds no certificate") from None
    wire.encrypt(context, target.host_in_certificate or target.host, inside=inside)
