"""Mails sent to a real SMTP server and read back from it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import httpx
import pytest

from nexpo_dev.pytest_plugin import MailboxAddress
from nexpo_gateway.processes.mail.settings import MailSettings, parse_smtp_url

SENDER = "Nexpo <no-reply@nexpo.example>"
PUBLIC_URL = "https://app.nexpo.example"

Received = Callable[[str], Awaitable[list[EmailMessage]]]


MailSettingsOf = Callable[..., MailSettings]


@pytest.fixture
def mail_settings() -> MailSettingsOf:
    """Settings for a server by its SMTP URL, and seconds of patience."""

    def make(smtp_url: str, timeout: float = 10.0) -> MailSettings:
        return replace(parse_smtp_url(smtp_url, SENDER, PUBLIC_URL), timeout=timeout)

    return make


@pytest.fixture
def settings(mailbox: MailboxAddress, mail_settings: MailSettingsOf) -> MailSettings:
    """Settings for the shared mailbox."""
    return mail_settings(mailbox.smtp_url)


@pytest.fixture
def recipient() -> str:
    """An address that no other test has."""
    return f"{uuid.uuid4()}@example.com"


@pytest.fixture
async def received(mailbox: MailboxAddress) -> AsyncIterator[Received]:
    """Reads the mails to an address, oldest first, as their bytes arrived."""
    async with httpx.AsyncClient(base_url=mailbox.url) as http:

        async def read(address: str) -> list[EmailMessage]:
            listed = (await http.get("/mails", params={"to": address})).json()
            raws = [(await http.get(f"/mails/{mail['id']}/raw")).content for mail in listed]
            return [message_from_bytes(raw, policy=default) for raw in raws]

        yield read
