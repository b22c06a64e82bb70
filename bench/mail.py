"""The mails of a benchmark: taken, read and told to whoever waits for them, without a disk."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import re
from collections.abc import AsyncIterator
from email.message import EmailMessage
from urllib.parse import unquote

from aiosmtpd.smtp import SMTP, Envelope, Session

_TOKEN = re.compile(r"[?&]token=([^&\s]+)")


class Mails:
    """The verification tokens that arrive, by address.

    Attributes:
        url: Where to send mail.
    """

    def __init__(self) -> None:
        self.url = ""
        self._tokens: dict[str, asyncio.Future[str]] = {}

    def expect(self, address: str) -> asyncio.Future[str]:
        """The token of the first verification mail to the address, once it is there."""
        return self._tokens.setdefault(address, asyncio.get_running_loop().create_future())

    def forget(self, address: str) -> None:
        """Nobody waits for it any more."""
        self._tokens.pop(address, None)

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Takes a mail."""
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        body = mail.get_body(("plain",))
        assert isinstance(body, EmailMessage)
        found = _TOKEN.search(body.get_content())
        waiting = self._tokens.get(str(envelope.rcpt_tos[0]))
        if found and waiting and not waiting.done():
            waiting.set_result(unquote(found[1]))
        return "250 OK"


@contextlib.asynccontextmanager
async def mails() -> AsyncIterator[Mails]:
    """Listens inside the block."""
    sink = Mails()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, hostname="bench"), "127.0.0.1", 0
    )
    sink.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield sink
    finally:
        server.close()
