"""Mail servers that are away, slow, refusing, or no mail servers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from nexpo_dev import servers
from nexpo_gateway.processes.mail.settings import MailSettings
from nexpo_gateway.processes.mail.smtp import send
from nexpo_gateway.processes.mail.wording import Mail
from nexpo_runtime.errors import Fault

Failure = Callable[..., Awaitable[Fault]]

MESSAGE_ID = "<id@example.com>"
MAIL = Mail("Subject", "text", "<p>text</p>")
ADDRESS = "ada@example.com"
GOOD = {"": b"220 here", "EHLO": b"250 here", "MAIL": b"250 ok", "RCPT": b"250 ok"}
GOOD |= {"DATA": b"354 go on", ".": b"250 taken", "QUIT": b"221 bye", "RSET": b"250 ok"}


class Script:
    """A mail server by script: each command has its answer, or else silence.

    Attributes:
        url: Where it is.
        commands: What it was sent, "" when the connection ended.
    """

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.url = ""
        self.commands: asyncio.Queue[str] = asyncio.Queue()
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError):
            writer.write(self._answer(""))
            in_mail = False
            while line := await reader.readline():
                text = line.decode().strip()
                command = text if in_mail else text[:4].upper()
                self.commands.put_nowait(command)
                answer = self._answer(command) if not in_mail or command == "." else b""
                writer.write(answer)
                in_mail = answer.startswith(b"354") or (in_mail and command != ".")
        self.commands.put_nowait("")
        writer.close()

    def _answer(self, command: str) -> bytes:
        answer = self._answers.get(command)
        return answer + b"\r\n" if answer else b""

    async def reached(self, command: str) -> None:
        """Returns as soon as the command was sent."""
        async with asyncio.timeout(90):
            while await self.commands.get() != command:
                pass


@contextlib.asynccontextmanager
async def _speaking(answers: dict[str, bytes]) -> AsyncIterator[Script]:
    script = Script(answers)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        server.close()


@pytest.fixture
def failure(mail_settings: Callable[..., MailSettings]) -> Failure:
    """Sends a mail that cannot be sent, and returns the fault."""

    async def fail(smtp_url: str, timeout: float = 5.0) -> Fault:
        with pytest.raises(Fault) as failed:
            await send(mail_settings(smtp_url, timeout), MAIL, ADDRESS, MESSAGE_ID)
        return failed.value

    return fail


@pytest.mark.parametrize(
    ("changed", "reason", "code"),
    [
        ({"RCPT": b"550 no such user"}, "MAIL_REFUSED", "550"),
        ({"RCPT": b"451 greylisted"}, "MAIL_UNAVAILABLE", "451"),
        ({"MAIL": b"553 not your domain"}, "MAIL_REFUSED", "553"),
        ({".": b"554 looks like spam"}, "MAIL_REFUSED", "554"),
        ({".": b"452 disk full"}, "MAIL_UNAVAILABLE", "452"),
        ({"MAIL": b"421 closing"}, "MAIL_UNAVAILABLE", "421"),
        ({"": b"554 no service here"}, "MAIL_UNAVAILABLE", "554"),
    ],
)
async def test_the_servers_code_decides_whether_trying_again_helps(
    failure: Failure, changed: dict[str, bytes], reason: str, code: str
) -> None:
    async with _speaking({**GOOD, **changed}) as script:
        fault = await failure(script.url)

    assert (fault.name, fault.metadata["smtp_code"]) == (reason, code)
    assert ADDRESS not in str(fault.to_status())


@pytest.mark.parametrize("silent", ["", "EHLO", "RCPT", "."])
async def test_a_server_that_falls_silent_is_unavailable_in_time(
    failure: Failure, silent: str
) -> None:
    async with _speaking(_silent(silent)) as script:
        began = time.monotonic()
        fault = await failure(script.url, timeout=0.5)

    assert fault.name == "MAIL_UNAVAILABLE"
    assert time.monotonic() - began < 9


async def test_what_speaks_another_protocol_is_unavailable(failure: Failure) -> None:
    async with _speaking({"": b"HTTP/1.1 400 Bad Request\r\n\r\n<html>"}) as script:
        assert (await failure(script.url)).name == "MAIL_UNAVAILABLE"


async def test_a_server_slow_to_say_goodbye_has_taken_the_mail(
    mail_settings: Callable[..., MailSettings],
) -> None:
    async with _speaking(_silent("QUIT")) as script:
        await send(mail_settings(script.url), MAIL, ADDRESS, MESSAGE_ID)


async def test_a_server_that_is_away_refuses_or_delays_is_told_apart(
    failure: Failure, mail_settings: Callable[..., MailSettings], tmp_path: Path
) -> None:
    reasons = {}
    async with (
        servers.mailbox(tmp_path) as mailbox,
        httpx.AsyncClient(base_url=mailbox.url) as http,
    ):
        for mode in ("away", "refuse", "defer", "delay"):
            await http.put("/fault", json={"mode": mode, "seconds": 30})
            reasons[mode] = (await failure(mailbox.smtp_url, timeout=1.0)).name
        await http.put("/fault", json={"mode": "none"})
        await http.delete("/mails")
        settings = mail_settings(mailbox.smtp_url)
        await send(settings, MAIL, ADDRESS, MESSAGE_ID)
        mails = (await http.get("/mails")).json()

    assert reasons == {
        "away": "MAIL_UNAVAILABLE",
        "refuse": "MAIL_REFUSED",
        "defer": "MAIL_UNAVAILABLE",
        "delay": "MAIL_UNAVAILABLE",
    }
    assert len(mails) == 1


async def test_a_cancelled_send_leaves_no_connection_behind(
    mail_settings: Callable[..., MailSettings],
) -> None:
    async with _speaking(_silent(".")) as script:
        sending = asyncio.create_task(send(mail_settings(script.url), MAIL, ADDRESS, MESSAGE_ID))
        await script.reached(".")
        sending.cancel()
        await script.reached("")

    assert sending.cancelled()


def _silent(command: str) -> dict[str, bytes]:
    return {other: answer for other, answer in GOOD.items() if other != command}
