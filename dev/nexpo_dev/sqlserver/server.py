"""Listens, lets clients in, and serves each in a session of its own."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import suppress

import asyncpg

from nexpo_dev.sqlserver import tokens
from nexpo_dev.sqlserver.errors import BackendLost, SqlError
from nexpo_dev.sqlserver.login import Access, Login, prelogin_reply, read_login, refusal, welcome
from nexpo_dev.sqlserver.packets import Kind, Message, ProtocolError, read_message, reply
from nexpo_dev.sqlserver.session import Session
from nexpo_dev.sqlserver.tokens import Done, Status

LOG = logging.getLogger("nexpo_dev.sqlserver")
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
    """

    def __init__(self, access: Access, database_url: str) -> None:
        self._access = access
        self._database_url = database_url
        self._spids = itertools.count(51)
        self._schema_lock = asyncio.Lock()
        self._schema_made = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a client until it leaves; a lost backend breaks its connection off."""
        spid = next(self._spids) % 32768
        try:
            async with asyncio.timeout(_LOGIN_TIMEOUT_S):
                login = await self._let_in(reader, writer, spid)
            if login is not None:
                await self._converse(reader, writer, login, spid)
        except ProtocolError as error:
            LOG.warning("session %d ended: not what TDS 7.4 allows here: %s", spid, error)
        except BackendLost:
            LOG.warning("session %d ended: its PostgreSQL connection is gone", spid)
        except (TimeoutError, ConnectionError) as error:
            LOG.info("session %d ended: %s", spid, type(error).__name__)
        except Exception:
            LOG.exception("session %d ended by a mistake of the stand-in", spid)
        finally:
            writer.transport.abort()

    async def _let_in(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spid: int
    ) -> Login | None:
        """PRELOGIN, where it comes, and LOGIN7; None when the client is refused or gone."""
        message = await read_message(reader)
        if message is not None and message.kind == Kind.PRELOGIN:
            await _send(writer, prelogin_reply(), 4096, spid)
            message = await read_message(reader)
        if message is None:
            return None
        if message.kind != Kind.LOGIN:
            raise ProtocolError(f"a message of kind {message.kind} before the log-in")
        login = read_login(message.payload)
        try:
            self._access.check(login)
        except SqlError as error:
            await _send(writer, refusal(login, error), 4096, spid)
            # The client must read the refusal before the connection is broken off.
            await reader.read()
            return None
        return login

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        login: Login,
        spid: int,
    ) -> None:
        backend = await self._connect()
        try:
            await _send(writer, welcome(login, self._access.database), 4096, spid)
            session = Session(backend, spid, self._access.database)
            await _Conversation(reader, writer, session, login.packet_size, spid).run()
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

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        session: Session,
        packet_size: int,
        spid: int,
    ) -> None:
        self._reader = reader
        self._writer = writer
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
        return asyncio.create_task(read_message(self._reader))

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
        await _send(self._writer, payload, self._packet_size, self._spid)


async def _send(writer: asyncio.StreamWriter, payload: bytes, packet_size: int, spid: int) -> None:
    writer.write(reply(payload, packet_size, spid))
    await writer.drain()
