"""A client's connection, in clear text or in TLS, which TDS begins in two ways.

Inside TDS (up to 7.4): after PRELOGIN the handshake travels in PRELOGIN packets, at most
TLS 1.2; what follows is plain TLS (MS-TDS 2.2.6.5 and 3.2.5.3). Strict (TDS 8.0): TLS comes first.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from nexpo_standins.sqlserver.packets import Kind, ProtocolError, framed, read_message

_CHUNK = 65536
_HANDSHAKE_RECORD = 0x16
_ALPN = "tds/8.0"


class Encryption:
    """What the server needs to encrypt.

    Args:
        certificate: PEM file of its certificate.
        key: PEM file of its private key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self.inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.inside.maximum_version = ssl.TLSVersion.TLSv1_2
        self.strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.strict.set_alpn_protocols([_ALPN])
        for context in (self.inside, self.strict):
            context.load_cert_chain(certificate, key)


class Wire:
    """The bytes of a connection; one reads them while another writes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ready = bytearray()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    async def begins_with_tls(self) -> bool:
        """Whether the client's first byte is a TLS handshake's and not a TDS packet's."""
        if not self._ready:
            self._ready += await self._reader.read(_CHUNK)
        return self._ready[:1] == bytes([_HANDSHAKE_RECORD])

    async def encrypt_strictly(self, encryption: Encryption) -> None:
        """Does the handshake of TDS 8.0.

        Raises:
            ProtocolError: The client does not ask for TDS 8.0, or ends.
            ssl.SSLError: The client breaks it off.
        """
        self._begin(encryption.strict)
        done = False
        while not done:
            try:
                done = self._shake()
            finally:  # on failure the client is told why
                await self._flush()
            if not done:
                self._fill(await self._reader.read(_CHUNK))
        if self._tls is None or self._tls.selected_alpn_protocol() != _ALPN:
            raise ProtocolError("TLS first, but not for tds/8.0")

    async def encrypt_inside(self, encryption: Encryption) -> None:
        """Does the handshake inside PRELOGIN packets. Raises as encrypt_strictly."""
        # What is read ahead belongs to the packets, so it stays where they are read from.
        clear = Wire(self._reader, self._writer)
        clear._ready, self._ready = self._ready, bytearray()
        self._begin(encryption.inside)
        done = False
        while not done:
            message = await read_message(clear)
            if message is None or message.kind != Kind.PRELOGIN:
                raise ProtocolError("no TLS handshake after PRELOGIN")
            self._fill(message.payload)
            try:
                done = self._shake()
            finally:  # on failure the client is told why
                self._writer.write(framed(self._outgoing.read(), Kind.PRELOGIN))
                await self._writer.drain()
        self._incoming.write(bytes(clear._ready))

    def end_encryption(self) -> None:
        """Goes on in clear text, as after a log-in that alone was encrypted."""
        self._tls = None
        self._ready += self._incoming.read()

    async def readexactly(self, size: int) -> bytes:
        """So many bytes. Raises asyncio.IncompleteReadError when the client leaves before."""
        while len(self._ready) < size:
            data = await self._read()
            if not data:
                raise asyncio.IncompleteReadError(bytes(self._ready), size)
            self._ready += data
        part = bytes(self._ready[:size])
        del self._ready[:size]
        return part

    async def ended(self) -> None:
        """Waits until the client leaves."""
        while await self._read():
            pass

    async def send(self, data: bytes) -> None:
        """Sends it all."""
        if self._tls is None:
            self._writer.write(data)
            await self._writer.drain()
        else:
            self._tls.write(data)
            await self._flush()

    def abort(self) -> None:
        """Breaks the connection off."""
        self._writer.transport.abort()

    async def _read(self) -> bytes:
        while self._tls is not None:
            try:
                return self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                data = await self._reader.read(_CHUNK)
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLError:  # closed, or no TLS any more
                return b""
        return await self._reader.read(_CHUNK)

    def _begin(self, context: ssl.SSLContext) -> None:
        self._incoming.write(bytes(self._ready))
        self._ready.clear()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def _shake(self) -> bool:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _fill(self, data: bytes) -> None:
        if not data:
            raise ProtocolError("the client left in the TLS handshake")
        self._incoming.write(data)

    async def _flush(self) -> None:
        self._writer.write(self._outgoing.read())
        await self._writer.drain()
