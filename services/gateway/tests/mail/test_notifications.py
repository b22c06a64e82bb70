"""What arrives when the gateway sends verification and welcome mails."""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from urllib.parse import parse_qs, urlsplit

import pytest

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.notifications.v1.notifications_pb2 import (
    SendVerificationRequest,
    SendWelcomeRequest,
    VerificationKind,
)
from nexpo_dev.pytest_plugin import MailboxAddress
from nexpo_gateway.processes.mail.activities import Notifications
from nexpo_gateway.processes.mail.settings import MailSettings, NotificationSettings
from nexpo_runtime.errors import Fault

from .conftest import PUBLIC_URL, SENDER

Received = Callable[[str], Awaitable[list[EmailMessage]]]

SERVICE_KEY = b"a-service-key-for-tests"
OPERATION = "operations/acme~nexpo.users.v1.OnboardUser~r%2F1~0f3c"
EVIL_NAME = 'Eve\r\nBcc: all@example.com\n<script>alert("1")</script> https://evil.example/x'


@pytest.fixture
def notifications(mailbox: MailboxAddress) -> Notifications:
    return Notifications(_settings(smtp_url=mailbox.smtp_url, public_url=PUBLIC_URL))


def _settings(**more: object) -> NotificationSettings:
    return NotificationSettings.load(
        environment="test", service_key=SERVICE_KEY.decode(), mail_from=SENDER, **more
    )


def _request(email: str, **changes: object) -> SendVerificationRequest:
    request = SendVerificationRequest(
        key=f"acme/nexpo.users.v1.OnboardUser/{uuid.uuid4()}/verify",
        email=email,
        display_name="Ada Lovelace",
        operation=OPERATION,
        kind=VerificationKind.VERIFICATION_KIND_FIRST,
    )
    request.expire_time.FromDatetime(datetime(2026, 11, 22, 10, 30, tzinfo=UTC))
    request.MergeFrom(SendVerificationRequest(**changes))  # type: ignore[arg-type]  # of the test
    return request


def _part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def _token(mail: EmailMessage) -> str:
    link = re.search(r"https://\S+", _part(mail, "plain"))
    assert link
    return parse_qs(urlsplit(link.group()).query)["token"][0]


async def test_a_verification_mail_carries_a_link_with_operation_and_token(
    notifications: Notifications, settings: MailSettings, recipient: str, received: Received
) -> None:
    response = await notifications.send_verification(_request(recipient))

    [mail] = await received(recipient)
    link = re.search(r"https://\S+", _part(mail, "plain"))
    assert link
    url = urlsplit(link.group())
    query = parse_qs(url.query)
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{settings.public_url}/verify"
    assert query["operation"] == [OPERATION]
    assert hashlib.sha256(query["token"][0].encode()).hexdigest() == response.token_digest
    assert link.group().replace("&", "&amp;") in _part(mail, "html")
    assert "22 November 2026, 10:30 UTC" in _part(mail, "plain")
    assert "Hello Ada Lovelace," in _part(mail, "plain")
    assert mail["Message-ID"] == response.message_id


async def test_every_attempt_of_a_step_sends_the_same_token_and_message_id(
    notifications: Notifications, recipient: str, received: Received
) -> None:
    request = _request(recipient)

    first = await notifications.send_verification(request)
    second = await notifications.send_verification(request)

    mails = await received(recipient)
    assert first == second
    assert len({_token(mail) for mail in mails}) == 1
    assert len({mail["Message-ID"] for mail in mails}) == 1


async def test_another_step_sends_another_token(
    notifications: Notifications, recipient: str, received: Received
) -> None:
    await notifications.send_verification(_request(recipient))
    await notifications.send_verification(_request(recipient))

    assert len({_token(mail) for mail in await received(recipient)}) == 2


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (VerificationKind.VERIFICATION_KIND_FIRST, "Confirm your e-mail address"),
        (VerificationKind.VERIFICATION_KIND_REMINDER, "Reminder: confirm your e-mail address"),
        (
            VerificationKind.VERIFICATION_KIND_RESEND,
            "Your new link to confirm your e-mail address",
        ),
    ],
)
async def test_the_subject_tells_why_it_is_sent(
    notifications: Notifications,
    recipient: str,
    received: Received,
    kind: VerificationKind.ValueType,
    subject: str,
) -> None:
    await notifications.send_verification(_request(recipient, kind=kind))

    [mail] = await received(recipient)
    assert mail["Subject"] == subject


async def test_a_name_breaks_neither_headers_nor_html_and_carries_no_link(
    notifications: Notifications, recipient: str, received: Received
) -> None:
    await notifications.send_verification(_request(recipient, display_name=EVIL_NAME))

    [mail] = await received(recipient)
    whole = mail.as_string() + _part(mail, "plain") + _part(mail, "html")
    assert mail["Bcc"] is None
    assert mail.get_all("To") == [recipient]
    assert "<script" not in whole
    assert "evil.example" not in whole


@pytest.mark.parametrize("name", ["王小明", "Zoë d'Été", "👩‍🚀 " * 40, "x" * 200, '"\\,;:<>@', " "])
async def test_any_name_can_be_greeted(
    notifications: Notifications, recipient: str, received: Received, name: str
) -> None:
    await notifications.send_verification(_request(recipient, display_name=name))

    [mail] = await received(recipient)
    assert _part(mail, "plain").startswith("Hello")


async def test_an_address_in_another_script_gets_its_mail(
    notifications: Notifications, received: Received
) -> None:
    address = f"jürgen-{uuid.uuid4()}@example.com"

    await notifications.send_verification(_request(address))

    assert len(await received(address)) == 1


async def test_a_long_operation_name_stays_one_link(
    notifications: Notifications, recipient: str, received: Received
) -> None:
    operation = "operations/" + "ä~" * 250
    request = _request(recipient)
    request.operation = operation
    await notifications.send_verification(request)

    [mail] = await received(recipient)
    link = re.search(r"https://\S+", _part(mail, "plain"))
    assert link
    assert parse_qs(urlsplit(link.group()).query)["operation"] == [operation]


async def test_a_welcome_mail_says_the_text_and_escapes_it(
    notifications: Notifications, recipient: str, received: Received
) -> None:
    text = "Welcome, Ada!\n\nYour <b>account</b> & more are ready."
    response = await notifications.send_welcome(
        SendWelcomeRequest(key=str(uuid.uuid4()), email=recipient, display_name="Ada", text=text)
    )

    [mail] = await received(recipient)
    assert _part(mail, "plain").replace("\r\n", "\n").strip() == text
    assert "Your &lt;b&gt;account&lt;/b&gt; &amp; more" in _part(mail, "html")
    assert mail["Message-ID"] == response.message_id


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "a@b@example.com",
        "a@example.com, b@example.com",
        "a@example.com\r\nRCPT TO:<b@c>",
    ],
)
async def test_what_is_not_one_address_is_refused_for_good(
    notifications: Notifications, address: str
) -> None:
    request = _request("placeholder@example.com")
    request.email = address

    with pytest.raises(Fault) as failed:
        await notifications.send_verification(request)
    assert failed.value.reason == Reason.REASON_MAIL_REFUSED


async def test_without_a_mail_server_it_says_that_mail_is_off() -> None:
    with pytest.raises(Fault) as failed:
        await Notifications(_settings()).send_verification(_request("ada@example.com"))

    assert failed.value.reason == Reason.REASON_MAIL_REFUSED
    assert "SMTP_URL" in failed.value.message


async def test_neither_token_nor_address_nor_name_is_logged_or_returned(
    notifications: Notifications,
    recipient: str,
    received: Received,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)

    response = await notifications.send_verification(_request(recipient))

    [mail] = await received(recipient)
    logged = caplog.text + "".join(capsys.readouterr()) + str(response)
    assert response.message_id in logged
    for secret in (_token(mail), recipient, "Lovelace", SERVICE_KEY.decode()):
        assert secret not in logged
