"""Listens, lets clients in, and serves each in a session of its own."""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
from contextlib import suppress

import asyncpg

from nexpo_standins.sqlserver import tokens
from nexpo_standins.sqlserver.errors import BackendLost, SqlError
from nexpo_standins.sqlserver.login import (
    Access,
    Encrypt,
    Login,
    agreed_encryption,
    prelogin_reply,
    read_login,
    refusal,
    wanted_encryption,
    welcome,
)
from nexpo_standins.sqlserver.packets import Kind, Message, ProtocolError, read_message, reply
from nexpo_standins.sqlserver.session import Session
from nexpo_standins.sqlserver.tokens import Done, Status
from nexpo_standins.sqlserver.wire import Encryption, Wire

LOG = logging.getLogger("nexpo_standins.sqlserver")
_LOGIN_TIMEOUT_S = 15.0
_BACKEND_TIMEOUT_S = 5.0
_BACKEND_SETTINGS = {
    "search_path": "dbo",
    "application_name": "nexpo-sqlserver",
    # When this process is killed, what it left running must not be written later.
    "client_connection_check_interval": "500",
}
_CANCELLED = tokens.done(Done.STATEMENT, Status.ATTENTION)


class Server:
    """The stand-in.

    Args:
        access: Who is let in.
        database_url: PostgreSQL that keeps everything, in its schema dbo.
        encryption: Its certificate; without one it encrypts nothing.
        required: Whether it lets nobody in unencrypted, as with "Force Encryption".
    """

    def __init__(
        self,
        access: Access,
        database_url: str,
        encryption: Encryption | None = None,
        *,
        required: bool = False,
    ) -> None:
        self._access = access
        self._database_url = database_url
        self._encryption = encryption
        self._required = required
        self._spids = itertools.count(51)
        self._schema_lock = asyncio.Lock()
        self._schema_made = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a client until it leaves; a lost backend breaks its connection off."""
        spid = next(self._spids) % 32768
        wire = Wire(reader, writer)
        try:
            async with asyncio.timeout(_LOGIN_TIMEOUT_S):
                login = await self._let_in(wire, spid)
            if login is not None:
                await self._converse(wire, login, spid)
        except ProtocolError as error:
            LOG.warning("session %d ended: not what TDS allows here: %s", spid, error)
        except BackendLost:
            LOG.warning("session %d ended: its PostgreSQL connection is gone", spid)
        except ssl.SSLError as error:
            LOG.warning("session %d ended: TLS: %s", spid, error.reason)
        except (TimeoutError, ConnectionError) as error:
            LOG.info("session %d ended: %s", spid, type(error).__name__)
        except Exception:
            LOG.exception("session %d ended by a mistake of the stand-in", spid)
        finally:
            wire.abort()

    async def _let_in(self, wire: Wire, spid: int) -> Login | None:
        """Encryption, where agreed on, and LOGIN7; None when the client is refused or gone."""
        strict = self._encryption is not None and await wire.begins_with_tls()
        if strict and self._encryption is not None:
            await wire.encrypt_strictly(self._encryption)
        message = await read_message(wire)
        agreed = Encrypt.NOT_SUPPORTED
        if message is not None and message.kind == Kind.PRELOGIN:
            agreed = await self._agree(wire, message, spid, strict=strict)
            message = await read_message(wire)
        if message is None:
            return None
        if message.kind != Kind.LOGIN:
            raise ProtocolError(f"a message of kind {message.kind} before the log-in")
        if agreed is Encrypt.REQUIRED:
            raise ProtocolError("a log-in in clear text, where encryption is required")
        if agreed is Encrypt.LOGIN_ONLY:
            wire.end_encryption()
        login = read_login(message.payload, strict=strict)
        try:
            self._access.check(login)
        except SqlError as error:
            await wire.send(reply(refusal(login, error), 4096, spid))
            # The client must read the refusal before the connection is broken off.
            await wire.ended()
            return None
        return login

    async def _agree(self, wire: Wire, message: Message, spid: int, *, strict: bool) -> Encrypt:
        """Answers PRELOGIN, and encrypts as agreed."""
        wanted = wanted_encryption(message.payload)
        if strict:  # all is encrypted already, whatever PRELOGIN says
            await wire.send(reply(prelogin_reply(wanted), 4096, spid))
            return Encrypt.ON
        agreed = agreed_encryption(wanted, self._encryption is not None, self._required)
        await wire.send(reply(prelogin_reply(agreed), 4096, spid))
        if self._encryption is not None and agreed in (Encrypt.ON, Encrypt.LOGIN_ONLY):
            await wire.encrypt_inside(self._encryption)
        return agreed

    async def _converse(self, wire: Wire, login: Login, spid: int) -> None:
        backend = await self._connect()
        try:
            await wire.send(reply(welcome(login, self._access.database), 4096, spid))
            session = Session(backend, spid, self._access.database)
            await _Conversation(wire, session, login.packet_size, spid).run()
        finally:
            # Not terminate: what the client left running must be cancelled, not orphaned.
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await backend.close(timeout=_BACKEND_TIMEOUT_S)

    async def _connect(self) -> asyncpg.Connection:
        try:
            backend = await asyncpg.connect(
                self._database_url,
                timeout=_BACKEND_TIMEOUT_S,
                statement_cache_size=0,
                server_settings=_BACKEND_SETTINGS,
            )
            async with self._schema_lock:
                if not self._schema_made:
                    await backend.execute("CREATE SCHEMA IF NOT EXISTS dbo")
                    self._schema_made = True
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            LOG.warning("no connection to PostgreSQL: %s", error)
            raise BackendLost from None
        return backend


class _Conversation:
    """Requests and replies in turn; while one runs, an attention may cancel it."""

    def __init__(self, wire: Wire, session: Session, packet_size: int, spid: int) -> None:
        self._wire = wire
        self._session = session
        self._packet_size = packet_size
        self._spid = spid

    async def run(self) -> None:
        incoming = self._listen()
        try:
            while (message := await incoming) is not None:
                incoming = self._listen()
                if message.kind == Kind.ATTENTION:
                    await self._say(_CANCELLED)
                else:
                    await self._answer(message, incoming)
        finally:
            incoming.cancel()

    def _listen(self) -> asyncio.Task[Message | None]:
        return asyncio.create_task(read_message(self._wire))

    async def _answer(self, message: Message, incoming: asyncio.Task[Message | None]) -> None:
        """Answers, unless the client cancels or leaves first: `run` then sees that."""
        work = asyncio.create_task(self._session.answer(message))
        try:
            await asyncio.wait({work, incoming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await self._say(await work)

    async def _say(self, payload: bytes) -> None:
        await self._wire.send(reply(payload, self._packet_size, self._spid))
