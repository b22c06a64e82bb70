"""Settings of e-mails."""

from __future__ import annotations

import functools
import re
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

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


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

    @property
    def public_path(self) -> str:
        """Path of PUBLIC_URL without a slash at its end: "" or as "/a/b"."""
        return urlsplit(self.public_url).path.rstrip("/")

    def mail_state(self) -> str:
        """ "on", or "off: why"."""
        return "on" if self.smtp_url else "off: SMTP_URL is not set"

    def problems(self) -> list[str]:
        """What fields that are well-formed each still get wrong together."""
        problems = super().problems()
        if self.smtp_url is not None:
            problems += self._problems_of_mail()
        if public_url := self._problem_of_public_url():
            problems.append(f"PUBLIC_URL: {public_url}")
        return problems

    def _problems_of_mail(self) -> list[str]:
        problems: list[str] = []
        try:
            _ = self.mail
        except ValueError as error:
            problems.append(
                f"SMTP_URL: {error}; give smtp://user:password@host:port or smtps://..."
            )
        if not _is_sender(self.mail_from):
            problems.append("MAIL_FROM: not an address; give 'Name <name@example.com>'")
        return problems

    def _problem_of_public_url(self) -> str:
        if not self.public_url and self.smtp_url is None:
            return ""
        if not self.public_url:
            return "not set, but SMTP_URL is, and the links in mails begin with it; set it"
        try:
            parse_public_url(self.public_url)
        except ValueError as error:
            return f"{error}; give https://host or https://host/path"
        return ""


def parse_public_url(public_url: str) -> str:
    """PUBLIC_URL without a slash at its end.

    Raises:
        ValueError: No link can begin with it; the text says why and quotes nothing of it.
    """
    if not public_url.isascii() or not public_url.isprintable() or " " in public_url:
        raise ValueError("has characters that a link cannot have; write a host as xn--...")
    url = urlsplit(public_url)
    try:
        port = url.port
    except ValueError:
        raise ValueError("the port is not a number up to 65535") from None
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise ValueError("not a http:// or https:// URL")
    if url.username is not None or url.password is not None:
        raise ValueError("has a user or a password, which everyone with a mail would see")
    if "?" in public_url or "#" in public_url:
        raise ValueError("has a query or a fragment, and more comes after it in a link")
    path = url.path.rstrip("/")
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("its path may have letters, digits and - . _ ~ between single slashes")
    return public_url.rstrip("/")


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
