"""The SMTP catcher, by a real SMTP client and its HTTP API."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from nexpo_dev import servers


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[servers.MailboxServer]:
    """A mailbox of the test's own, for it makes faults."""
    async with servers.mailbox(tmp_path) as server:
        yield server


@pytest.fixture
async def http(box: servers.MailboxServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its HTTP API."""
    async with httpx.AsyncClient(base_url=box.url) as client:
        yield client


async def send(
    box: servers.MailboxServer, to: str, text: str = "Hello", seconds: float = 5
) -> None:
    """Send a mail as any SMTP client does."""
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Grüße", "a@nexpo.example", to
    mail["Message-ID"] = "<one@nexpo.example>"
    mail.set_content(text)

    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", box.smtp_port, timeout=seconds) as smtp:
            smtp.send_message(mail)

    await asyncio.to_thread(deliver)


async def test_mail_can_be_listed_read_and_cleared(
    box: servers.MailboxServer, http: httpx.AsyncClient
) -> None:
    await send(box, "b@nexpo.example", text="Your token: 123 – ü")
    await send(box, "c@nexpo.example")
    (mail,) = (await http.get("/mails", params={"to": "b@nexpo.example"})).json()
    assert mail["subject"] == "Grüße"
    assert mail["to"] == ["b@nexpo.example"]
    assert mail["message_id"] == "<one@nexpo.example>"
    assert mail["text"].strip() == "Your token: 123 – ü"
    assert (await http.get(f"/mails/{mail['id']}")).json() == mail
    assert (
        b"Message-ID: <one@nexpo.example>" in (await http.get(f"/mails/{mail['id']}/raw")).content
    )
    assert len((await http.get("/mails")).json()) == 2
    await http.delete("/mails")
    assert (await http.get("/mails")).json() == []
    assert (await http.get(f"/mails/{mail['id']}")).status_code == 404


async def test_it_refuses_recipients_when_told_to(
    box: servers.MailboxServer, http: httpx.AsyncClient
) -> None:
    await http.put("/fault", json={"mode": "refuse"})
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await send(box, "b@nexpo.example")
    await http.put("/fault", json={"mode": "none"})
    await send(box, "b@nexpo.example")


async def test_it_puts_a_recipient_off_until_some_time_after_the_first_try(
    box: servers.MailboxServer, http: httpx.AsyncClient
) -> None:
    await http.put("/fault", json={"mode": "defer", "seconds": 0.4})
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            await send(box, "b@nexpo.example")
        assert refused.value.recipients["b@nexpo.example"][0] == 451
    await asyncio.sleep(0.4)
    await send(box, "b@nexpo.example")


async def test_a_delayed_mail_is_kept_though_its_sender_gave_up(
    box: servers.MailboxServer, http: httpx.AsyncClient
) -> None:
    await http.put("/fault", json={"mode": "delay", "seconds": 30})
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        await send(box, "b@nexpo.example", seconds=0.5)
    assert len((await http.get("/mails")).json()) == 1


async def test_it_is_away_when_told_to_and_comes_back(
    box: servers.MailboxServer, http: httpx.AsyncClient
) -> None:
    await http.put("/fault", json={"mode": "away"})
    with pytest.raises(ConnectionRefusedError):
        await send(box, "b@nexpo.example")
    await http.put("/fault", json={"mode": "none"})
    await send(box, "b@nexpo.example")


async def test_an_unknown_fault_is_refused_with_the_choice(http: httpx.AsyncClient) -> None:
    answer = await http.put("/fault", json={"mode": "explode"})
    assert answer.status_code == 400
    assert "refuse" in answer.json()["error"]
