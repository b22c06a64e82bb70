"""Passwords and mails travel encrypted, to the server that was meant."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nexpo_gateway.processes.mail.settings import MailSettings
from nexpo_gateway.processes.mail.smtp import send
from nexpo_gateway.processes.mail.wording import Mail
from nexpo_runtime.errors import Fault

MAIL = Mail("Subject", "text", "<p>text</p>")


@dataclass
class Taken:
    """What the server was given: passwords, and whether each mail came encrypted."""

    passwords: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        """aiosmtpd's authenticator."""
        assert isinstance(data, LoginPassword)
        self.passwords.append(data.password)
        return AuthResult(success=data.password == b"right", handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """aiosmtpd's hook for a mail."""
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK"


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts yet, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is trusted: OpenSSL reads this variable."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@contextlib.asynccontextmanager
async def _serving(make: Callable[[], SMTP], tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def offers_starttls(taken: Taken, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """Port of a server that offers STARTTLS and takes passwords behind it."""

    def make() -> SMTP:
        return SMTP(taken, tls_context=tls, authenticator=taken.authenticate)

    async with _serving(make, None) as port:
        yield port


@pytest.fixture
async def takes_everything_in_the_clear(taken: Taken) -> AsyncIterator[int]:
    """Port of a server without encryption that asks for passwords all the same."""

    def make() -> SMTP:
        return SMTP(taken, authenticator=taken.authenticate, auth_require_tls=False)

    async with _serving(make, None) as port:
        yield port


MailSettingsOf = Callable[..., MailSettings]


@pytest.mark.usefixtures("trusted")
async def test_a_password_goes_out_behind_starttls(
    mail_settings: MailSettingsOf, offers_starttls: int, taken: Taken
) -> None:
    url = f"smtp://user:right@localhost:{offers_starttls}?starttls=required"

    await send(mail_settings(url), MAIL, "ada@example.com", "<id@example.com>")

    assert (taken.passwords, taken.encrypted) == ([b"right"], [True])


@pytest.mark.usefixtures("trusted")
async def test_a_wrong_password_is_refused_for_good(
    mail_settings: MailSettingsOf, offers_starttls: int
) -> None:
    url = f"smtp://user:wrong@localhost:{offers_starttls}?starttls=required"

    with pytest.raises(Fault) as failed:
        await send(mail_settings(url), MAIL, "ada@example.com", "<id@example.com>")
    assert failed.value.name == "MAIL_REFUSED"


async def test_a_server_that_nobody_vouches_for_gets_nothing(
    mail_settings: MailSettingsOf, offers_starttls: int, taken: Taken
) -> None:
    url = f"smtp://user:right@localhost:{offers_starttls}?starttls=required"

    with pytest.raises(Fault) as failed:
        await send(mail_settings(url), MAIL, "ada@example.com", "<id@example.com>")
    assert failed.value.name == "MAIL_UNAVAILABLE"
    assert (taken.passwords, taken.encrypted) == ([], [])


async def test_a_server_without_the_encryption_that_is_required_gets_nothing(
    mail_settings: MailSettingsOf, takes_everything_in_the_clear: int, taken: Taken
) -> None:
    url = f"smtp://user:right@localhost:{takes_everything_in_the_clear}?starttls=required"

    with pytest.raises(Fault):
        await send(mail_settings(url), MAIL, "ada@example.com", "<id@example.com>")
    assert (taken.passwords, taken.encrypted) == ([], [])


@pytest.mark.usefixtures("trusted")
async def test_smtps_is_encrypted_from_the_first_byte(
    mail_settings: MailSettingsOf, taken: Taken, tls: ssl.SSLContext
) -> None:
    async with _serving(lambda: SMTP(taken), tls) as port:
        url = f"smtps://localhost:{port}"
        await send(mail_settings(url), MAIL, "ada@example.com", "<id@example.com>")

    assert taken.encrypted == [True]
