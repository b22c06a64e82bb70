"""SQL Servers inside the test, whose encryption is right, broken or worse."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from nexpo_dev.certificates import Authority
from nexpo_standins.sqlserver.login import Access, Encrypt, Login, prelogin_reply
from nexpo_standins.sqlserver.packets import reply
from nexpo_standins.sqlserver.server import Server
from nexpo_standins.sqlserver.tokens import Done, Status, done
from nexpo_standins.sqlserver.wire import Encryption, Wire

PASSWORD = "hunter2-пароль"
ACCESS = Access("ada", PASSWORD, "nexpo")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Certificates:
    """Certificates, right and wrong, of one authority and of a stranger.

    Attributes:
        authority: PEM file of the authority.
        good: For 127.0.0.1; certificate and key.
        expired: Was for 127.0.0.1 until an hour ago.
        elsewhere: For db.example.com.
        stranger: For 127.0.0.1, signed by nobody known.
    """

    authority: Path
    good: tuple[Path, Path]
    expired: tuple[Path, Path]
    elsewhere: tuple[Path, Path]
    stranger: tuple[Path, Path]

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """Makes them in folders of the folder."""
        ours, theirs = Authority(), Authority()
        for name in ("good", "expired", "elsewhere", "stranger"):
            (folder / name).mkdir()
        hour = timedelta(hours=1)
        return cls(
            authority=ours.write(folder),
            good=ours.issue(folder / "good", "127.0.0.1"),
            expired=ours.issue(folder / "expired", "127.0.0.1", lasts=-hour),
            elsewhere=ours.issue(folder / "elsewhere", "db.example.com"),
            stranger=theirs.issue(folder / "stranger", "127.0.0.1"),
        )


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """Its port, while something serves there."""
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(listener.sockets[0].getsockname()[1])
    finally:
        listener.close()


def url(port: int, options: str, certificate: Path | None, password: str = PASSWORD) -> str:
    """What SQLSERVER_URL would be."""
    parts = [options, f"Certificate={quote(str(certificate))}" if certificate else ""]
    query = "&".join(filter(None, parts))
    address = f"mssql://ada:{quote(password)}@127.0.0.1:{port}/nexpo"
    return f"{address}?{query}" if query else address


def stand_in(
    database_url: str, pair: tuple[Path, Path] | None, *, required: bool = False
) -> Server:
    """The stand-in with this certificate and key."""
    encryption = Encryption(*pair) if pair else None
    return Server(ACCESS, database_url, encryption, required=required)


class Gateway(Server):
    """Lets clients log in and sends them on, as the gateways of Azure SQL do.

    Attributes:
        onward: The port to send them to.
    """

    onward = 0

    async def _converse(self, wire: Wire, login: Login, spid: int) -> None:
        host = "127.0.0.1"
        place = struct.pack("<BHH", 0, self.onward, len(host)) + host.encode("utf-16-le")
        body = b"\x14" + struct.pack("<H", len(place)) + place + b"\0\0"
        change = struct.pack("<BH", 0xE3, len(body)) + body
        await wire.send(reply(change + done(Done.STATEMENT, Status.FINAL), 4096, spid))
        await wire.ended()


def gateway_to_nowhere(pair: tuple[Path, Path]) -> Gateway:
    """A gateway that has not been told yet where to send clients on to."""
    return Gateway(ACCESS, "postgresql://127.0.0.1:1/none", Encryption(*pair))


def answers_prelogin(answer: Encrypt, then: Serve) -> Serve:
    """A server that agrees on encryption like this, and then does something else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(4096)
            writer.write(reply(prelogin_reply(answer), 4096, 0))
            await then(reader, writer)
        writer.transport.abort()

    return serve


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the beginning of the handshake and leaves."""
    await reader.read(4096)


async def falls_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing more, but stays."""
    while await reader.read(4096):
        pass


async def dribbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers, a byte at a time, without end."""
    while True:
        for octet in b"\x12\x01\x7f\xff\x00\x00\x00\x00" + bytes(200):
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0.02)


async def talks_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the handshake with what is none."""
    await reader.read(4096)
    writer.write(b"\x12\x01\x00\x10\x00\x00\x00\x00nonsense")
    await writer.drain()
    await reader.read(4096)
