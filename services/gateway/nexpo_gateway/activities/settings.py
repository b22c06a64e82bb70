"""Settings of e-mails."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from enum import StrEnum
from typing import Annotated
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside, https, stays_here


class Tls(StrEnum):
    """How a connection to the mail server is encrypted."""

    IMPLICIT = "implicit"
    """From its first byte: smtps://."""
    REQUIRED = "required"
    """By STARTTLS; a server without it gets no mail: ?starttls=required."""
    OFFERED = "offered"
    """By STARTTLS where the server offers it."""
    NEVER = "never"
    """Not: ?starttls=never."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Where mails go out, from whom, and where their links lead.

    Attributes:
        host: Of the mail server.
        port: Of the mail server.
        tls: How the connection is encrypted.
        username: Empty for none.
        password: Empty for none.
        sender: For the header From, such as "Nexpo <no-reply@example.com>".
        public_url: What links begin with, without a slash at the end.
        timeout: Seconds until sending counts as failed.
    """

    host: str
    port: int
    tls: Tls
    username: str
    password: str = field(repr=False)
    sender: str
    public_url: str
    timeout: float = 12.0

    @property
    def sender_address(self) -> str:
        """The address alone, for the envelope."""
        return parseaddr(self.sender)[1]

    @property
    def domain(self) -> str:
        """The sender's domain, for Message-IDs and for the greeting of the server."""
        return self.sender_address.rpartition("@")[2]


def _to_mail_server(_: Settings, smtp_url: str) -> str:
    if parse_smtp_url(smtp_url, "", "").tls in (Tls.IMPLICIT, Tls.REQUIRED):
        return ""
    return "mails may go in clear text; use smtps://, or ?starttls=required"


class NotificationSettings(Settings):
    """What sending e-mails needs; the gateway's settings subclass it.

    Attributes:
        smtp_url: smtp://[user:password@]host[:port][?starttls=required|never] or
            smtps://...; without it no mail is sent. User and password are
            percent-escaped.
        mail_from: For the header From.
        public_url: What links in mails begin with.
    """

    smtp_url: Annotated[SecretStr | None, Outside(_to_mail_server)] = None
    mail_from: str = "Nexpo <no-reply@localhost>"
    public_url: Annotated[str, Outside(https)] = ""

    @functools.cached_property
    def mail(self) -> MailSettings | None:
        """How to send mail; None when SMTP_URL is not set.

        Raises:
            ValueError: SMTP_URL cannot be understood.
        """
        if self.smtp_url is None:
            return None
        return parse_smtp_url(self.smtp_url.get_secret_value(), self.mail_from, self.public_url)

    def mail_state(self) -> str:
        """ "on", or "off: why"."""
        return "on" if self.smtp_url else "off: SMTP_URL is not set"

    def problems(self) -> list[str]:
        """What fields that are well-formed each still get wrong together."""
        problems = super().problems()
        if self.smtp_url is None:
            return problems
        try:
            _ = self.mail
        except ValueError as error:
            problems.append(
                f"SMTP_URL: {error}; give smtp://user:password@host:port or smtps://..."
            )
        if not _is_sender(self.mail_from):
            problems.append("MAIL_FROM: not an address; give 'Name <name@example.com>'")
        url = urlsplit(self.public_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            problems.append(
                "PUBLIC_URL: not a http:// or https:// URL, but SMTP_URL is set and the links in "
                "mails begin with it; set it"
            )
        return problems


def parse_smtp_url(smtp_url: str, sender: str, public_url: str) -> MailSettings:
    """Reads SMTP_URL.

    Raises:
        ValueError: It cannot be understood; the text quotes nothing of it.
    """
    try:
        url = urlsplit(smtp_url)
        port = url.port
    except ValueError:
        raise ValueError("the port is not a number") from None
    if url.scheme not in ("smtp", "smtps") or not url.hostname or url.path not in ("", "/"):
        raise ValueError("not of the form smtp://host:port")
    username, password = unquote(url.username or ""), unquote(url.password or "")
    if password and not username:
        raise ValueError("a password without a user")
    return MailSettings(
        host=url.hostname,
        port=port or (465 if url.scheme == "smtps" else 587 if username else 25),
        tls=_tls(url.scheme, url.query, bool(password) and not stays_here(url.hostname)),
        username=username,
        password=password,
        sender=sender,
        public_url=public_url.rstrip("/"),
    )


def _tls(scheme: str, query: str, secret: bool) -> Tls:
    options = parse_qs(query, keep_blank_values=True)
    wanted = options.pop("starttls", [""])[-1]
    if options or wanted not in ("", "required", "never"):
        raise ValueError("the only option is starttls=required or starttls=never")
    if scheme == "smtps":
        if wanted:
            raise ValueError("starttls is of no use with smtps://")
        return Tls.IMPLICIT
    if wanted:
        return Tls(wanted)
    # A password never leaves the machine in clear text unless someone asked for that.
    return Tls.REQUIRED if secret else Tls.OFFERED


def _is_sender(text: str) -> bool:
    if any(ord(character) < 32 for character in text):
        return False
    try:
        return bool(Address(addr_spec=parseaddr(text)[1]).domain)
    except (MessageError, ValueError, IndexError):
        return False
