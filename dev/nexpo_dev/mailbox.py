"""A real SMTP server that keeps every mail for reading instead of delivering it.

Run as: python -m nexpo_dev.mailbox --port SMTP --http-port HTTP --data DIR

It speaks SMTP (aiosmtpd) to any client and relays nothing. A mail is on disk before it is
acknowledged. Over HTTP:

    GET    /mails?to=ADDRESS   list, oldest first: id, from, to, subject, message_id, text
    GET    /mails/{id}         one mail, the same fields
    GET    /mails/{id}/raw     its bytes as received
    DELETE /mails              clear
    PUT    /fault              {"mode": "none" | "refuse" | "defer" | "delay" | "away",
                                "seconds": 0.0}
    GET    /fault              the fault now

refuse answers every recipient with a permanent error (550). defer puts every recipient off (451)
until so many seconds after the first try, as greylisting does, or with 0 seconds for good. delay
holds the reply to a mail, which is kept all the same. away closes the SMTP port.
"""

import argparse
import asyncio
import email
import email.policy
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, get_args

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Mode = Literal["none", "refuse", "defer", "delay", "away"]


class Mailbox:
    """The mails on disk, and the SMTP port that fills them.

    Args:
        port: SMTP port on 127.0.0.1.
        data: folder of the mails, one file each, named so that the names sort by arrival.
    """

    def __init__(self, port: int, data: Path) -> None:
        self._port = port
        self._data = data
        self._server: asyncio.Server | None = None
        self.mode: Mode = "none"
        self.seconds = 0.0
        self._first_tries: dict[str, float] = {}
        data.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def set_fault(self, mode: Mode, seconds: float = 0.0) -> None:
        """Behave so from now on; `seconds` is for the modes "defer" and "delay"."""
        self.mode, self.seconds = mode, seconds
        self._first_tries.clear()
        if mode == "away":
            await self.close()
        else:
            await self.open()

    async def open(self) -> None:
        """Listen for SMTP."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: SMTP(self, hostname="nexpo-mailbox", enable_SMTPUTF8=True),
                "127.0.0.1",
                self._port,
            )

    async def close(self) -> None:
        """Stop listening for SMTP."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        if self.mode == "refuse":
            return "550 5.1.1 This mailbox was told to refuse"
        if self.mode == "defer" and self._too_early(address):
            return "451 4.7.1 Greylisted, please try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail, then acknowledge it."""
        content = envelope.content
        assert isinstance(content, bytes)
        self._keep(content, [str(address) for address in envelope.rcpt_tos])
        if self.mode == "delay":
            await asyncio.sleep(self.seconds)
        return "250 OK, kept"

    def _too_early(self, address: str) -> bool:
        now = time.monotonic()
        since = now - self._first_tries.setdefault(address, now)
        return not self.seconds or since < self.seconds

    def mails(self, to: str | None = None) -> list[dict[str, object]]:
        """All mails, oldest first; only those to one address when it is given."""
        mails = [self.read(file) for file in sorted(self._data.glob("*.eml"))]
        return [mail for mail in mails if to is None or to in str(mail["to"])]

    def find(self, mail_id: str) -> Path | None:
        """The file of a mail."""
        return next((f for f in self._data.glob("*.eml") if f.stem == mail_id), None)

    def read(self, file: Path) -> dict[str, object]:
        """A mail as the HTTP API shows it."""
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        body = mail.get_body(("plain", "html"))
        assert isinstance(body, EmailMessage | None)
        return {
            "id": file.stem,
            "from": str(mail["From"] or ""),
            "to": mail.get_all("X-Envelope-To", []),
            "subject": str(mail["Subject"] or ""),
            "message_id": str(mail["Message-ID"] or "").strip(),
            "text": str(body.get_content()) if body else "",
        }

    def clear(self) -> None:
        """Delete all mails."""
        for file in self._data.glob("*.eml"):
            file.unlink(missing_ok=True)

    def _keep(self, content: bytes, recipients: list[str]) -> None:
        envelope = "".join(f"X-Envelope-To: {address}\r\n" for address in recipients)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        draft = self._data / f"{name}.new"
        with draft.open("wb") as output:
            output.write(envelope.encode() + content)
            output.flush()
            os.fsync(output.fileno())
        draft.rename(self._data / f"{name}.eml")


def application(mailbox: Mailbox) -> Starlette:
    """The HTTP API of a mailbox, which also opens and closes its SMTP port."""

    async def mails(request: Request) -> Response:
        if request.method == "DELETE":
            mailbox.clear()
            return Response(status_code=204)
        return JSONResponse(mailbox.mails(request.query_params.get("to")))

    async def mail(request: Request) -> Response:
        if file := mailbox.find(request.path_params["id"]):
            return JSONResponse(mailbox.read(file))
        return JSONResponse({"error": "There is no such mail."}, 404)

    async def raw(request: Request) -> Response:
        if file := mailbox.find(request.path_params["id"]):
            return Response(file.read_bytes(), media_type="message/rfc822")
        return JSONResponse({"error": "There is no such mail."}, 404)

    async def fault(request: Request) -> Response:
        if request.method == "PUT":
            wanted = await request.json()
            if wanted.get("mode") not in get_args(Mode):
                return JSONResponse({"error": f"mode is one of {', '.join(get_args(Mode))}."}, 400)
            await mailbox.set_fault(wanted["mode"], float(wanted.get("seconds", 0)))
        return JSONResponse({"mode": mailbox.mode, "seconds": mailbox.seconds})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await mailbox.open()
        yield
        await mailbox.close()

    return Starlette(
        routes=[
            Route("/mails", mails, methods=["GET", "DELETE"]),
            Route("/mails/{id}", mail),
            Route("/mails/{id}/raw", raw),
            Route("/fault", fault, methods=["GET", "PUT"]),
        ],
        lifespan=lifespan,
    )


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m nexpo_dev.mailbox")
    parser.add_argument("--port", type=int, required=True, help="SMTP port")
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    uvicorn.run(
        application(Mailbox(arguments.port, arguments.data)),
        host="127.0.0.1",
        port=arguments.http_port,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
