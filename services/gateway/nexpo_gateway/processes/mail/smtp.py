"""Sends one mail over SMTP (RFC 5321)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

from .settings import MailSettings, Tls
from .wording import Mail

_STARTTLS = {Tls.REQUIRED: True, Tls.OFFERED: None, Tls.NEVER: False, Tls.IMPLICIT: False}
_GOODBYE_SECONDS = 1.0
_LONGEST_ADDRESS = 254
_ADDRESS = re.compile(r"""[^\s\x00-\x1f\x7f<>()\[\]\\,;:"@]+@[\w-]+(\.[\w-]+)*""")
"""One address without comments, quotes or anything else that could end it."""


async def send(settings: MailSettings, mail: Mail, to: str, message_id: str) -> None:
    """Sends a mail; when this returns, the server has taken it.

    After a time-out the server may have taken it, too: the same Message-ID on
    the next try lets mail programs show one.

    Args:
        settings: The server and the sender.
        mail: What it says.
        to: One address.
        message_id: With angle brackets.

    Raises:
        Fault: MAIL_UNAVAILABLE or MAIL_REFUSED; without a cause, because the
            texts of mail servers quote addresses and causes are logged.
    """
    message = _compose(settings, mail, to, message_id)
    client = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        username=settings.username or None,
        password=settings.password or None,
        use_tls=settings.tls is Tls.IMPLICIT,
        start_tls=_STARTTLS[settings.tls],
        timeout=settings.timeout,
        # Otherwise the machine's name is looked up, which may block for seconds.
        local_hostname=settings.domain,
    )
    try:
        async with asyncio.timeout(settings.timeout):
            await client.connect()
            await client.send_message(message, sender=settings.sender_address, recipients=[to])
    except Exception as error:
        client.close()
        raise _fault_of(error) from None
    except BaseException:
        client.close()
        raise
    # The mail is taken: a server that is slow to say goodbye must not make it come twice.
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        await client.quit(timeout=_GOODBYE_SECONDS)
    client.close()


def _compose(settings: MailSettings, mail: Mail, to: str, message_id: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = settings.sender
    # The address alone: a stranger's name has no business in a header.
    message["To"] = _recipient(to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _recipient(to: str) -> Address:
    if len(to) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(to):
        raise Fault(Reason.REASON_MAIL_REFUSED, "The recipient's address is not one.")
    # Not parsed by the standard library, which takes ASCII only.
    local, _, domain = to.rpartition("@")
    return Address(username=local, domain=domain)


def _fault_of(error: Exception) -> Fault:
    """What an exception of aiosmtplib means.

    Only what the server says of the mail or of us (5xx, RFC 5321, 4.2.1) is for
    good; what it says of itself when we connect may pass.
    """
    code = _code_of(error)
    facts = {"smtp_code": str(code)} if code else {}
    greeting = isinstance(error, aiosmtplib.SMTPConnectError)
    if 500 <= code < 600 and not greeting:
        return Fault(
            Reason.REASON_MAIL_REFUSED, "The mail server refused the e-mail.", metadata=facts
        )
    # A certificate that is not trusted is a ValueError and an OSError; that may be mended.
    unsendable = isinstance(error, ValueError) and not isinstance(error, OSError)
    if unsendable or isinstance(error, aiosmtplib.SMTPNotSupported):
        return Fault(Reason.REASON_MAIL_REFUSED, "The mail server cannot take such an address.")
    return Fault(
        Reason.REASON_MAIL_UNAVAILABLE,
        "The mail server cannot take the e-mail now.",
        metadata=facts,
    )


def _code_of(error: Exception) -> int:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return max((refused.code for refused in error.recipients), default=0)
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0
