"""The way to SQL Server is encrypted and checked, or not taken; a password is never seen."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from pathlib import Path

import pytest
from calls import reason_of
from servers_that_encrypt import (
    PASSWORD,
    Certificates,
    Serve,
    answers_prelogin,
    dribbles,
    falls_silent,
    gateway_to_nowhere,
    hangs_up,
    listening,
    stand_in,
    talks_nonsense,
    url,
)

from nexpo_db_worker.capabilities import origin
from nexpo_db_worker.databases.opened import open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.sqlserver import connection as connections
from nexpo_db_worker.engines.sqlserver.connection import Connection
from nexpo_db_worker.engines.sqlserver.target import Target
from nexpo_dev.fault_proxy import FaultProxy
from nexpo_standins.sqlserver.login import Encrypt

QUERY = "SELECT N'what is asked' AS a"
NOWHERE = "postgresql://127.0.0.1:1/none"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def _everything_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "_logged", {})


def as_on_the_wire(password: str) -> bytes:
    """How LOGIN7 has it: every octet turned round and mixed with 0xA5 (MS-TDS 2.2.6.4)."""
    octets = password.encode("utf-16-le")
    return bytes(((octet << 4) & 0xF0 | octet >> 4) ^ 0xA5 for octet in octets)


async def asked(target: str) -> bool:
    """Asks a query; whether it went encrypted."""

    def ask() -> bool:
        connection = Connection(Target.parse(target))
        try:
            assert connection.execute(QUERY)[1] == [("what is asked",)]
            assert not connection.stale
            return connection.encrypted
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize(
    ("options", "able", "required", "password_seen", "query_seen"),
    [
        ("Encrypt=strict", True, False, False, False),
        ("Encrypt=strict", True, True, False, False),
        ("", True, False, False, False),
        ("encrypt=MANDATORY", True, True, False, False),
        ("Encrypt=yes", True, False, False, False),
        ("Encrypt=optional", True, False, False, True),
        ("Encrypt=optional", True, True, False, False),
        # The control: here there is something to be seen, and it is.
        ("Encrypt=optional", False, False, True, True),
    ],
)
async def test_on_the_wire_is_seen_only_what_the_mode_allows(
    postgres_url: str,
    certificates: Certificates,
    options: str,
    able: bool,
    required: bool,
    password_seen: bool,
    query_seen: bool,
) -> None:
    server = stand_in(postgres_url, certificates.good if able else None, required=required)
    async with listening(server.serve) as port, FaultProxy(port, record=True) as proxy:
        encrypted = await asked(url(proxy.port, options, certificates.authority))
    assert encrypted is not query_seen
    assert (as_on_the_wire(PASSWORD) in proxy.carried) is password_seen
    assert ("what is asked".encode("utf-16-le") in proxy.carried) is query_seen


async def test_a_name_in_the_certificate_or_the_certificate_itself_or_trust_lets_in(
    postgres_url: str, certificates: Certificates
) -> None:
    elsewhere = stand_in(postgres_url, certificates.elsewhere)
    async with listening(elsewhere.serve) as port:
        for mode in ("mandatory", "strict"):
            options = f"Encrypt={mode}&HostNameInCertificate=db.example.com"
            assert await asked(url(port, options, certificates.authority))
    stranger = stand_in(postgres_url, certificates.stranger)
    async with listening(stranger.serve) as port:
        assert await asked(url(port, "", certificates.stranger[0]))
        assert await asked(url(port, "TrustServerCertificate=yes", None))


async def test_who_is_sent_on_to_another_host_logs_in_there_encrypted(
    postgres_url: str, certificates: Certificates
) -> None:
    gateway = gateway_to_nowhere(certificates.good)
    behind = stand_in(postgres_url, certificates.good)
    async with listening(behind.serve) as port, FaultProxy(port, record=True) as proxy:
        gateway.onward = proxy.port
        async with listening(gateway.serve) as front:
            for mode in ("mandatory", "strict"):
                assert await asked(url(front, f"Encrypt={mode}", certificates.authority))
    assert len(proxy.carried) > 1000, "nobody came"
    assert as_on_the_wire(PASSWORD) not in proxy.carried


async def test_who_is_sent_on_in_clear_text_does_not_go(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = gateway_to_nowhere(certificates.good)
    behind = stand_in(NOWHERE, certificates.good)
    async with listening(behind.serve) as port, FaultProxy(port, record=True) as proxy:
        gateway.onward = proxy.port
        async with listening(gateway.serve) as front:
            target = url(front, "Encrypt=optional", certificates.authority)
            assert await _reason(target) == "STORE_UNAVAILABLE"
    assert "sends us on in clear text" in caplog.text
    assert not proxy.carried


async def test_who_is_sent_on_without_end_gives_up(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = gateway_to_nowhere(certificates.good)
    async with listening(gateway.serve) as gateway.onward:
        target = url(gateway.onward, "", certificates.authority)
        assert await _reason(target) == "STORE_UNAVAILABLE"
    assert "from host to host" in caplog.text


@pytest.mark.parametrize("mode", ["mandatory", "strict"])
@pytest.mark.parametrize(
    ("which", "mend"),
    [
        ("expired", "has expired; renew it"),
        ("elsewhere", "set HostNameInCertificate"),
        ("stranger", "give Certificate=file"),
    ],
)
async def test_a_certificate_that_is_not_right_ends_it_before_the_password(
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
    mode: str,
    which: str,
    mend: str,
) -> None:
    server = stand_in(NOWHERE, getattr(certificates, which))
    await _is_unavailable(server.serve, f"Encrypt={mode}", certificates, caplog, mend)


async def test_without_a_file_only_the_systems_authorities_count(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(stand_in(NOWHERE, certificates.good).serve) as port:
        assert await _reason(url(port, "", None)) == "STORE_UNAVAILABLE"
    assert "give Certificate=file" in caplog.text


@pytest.mark.parametrize(
    ("answer", "then", "mend"),
    [
        # No encryption, by the server's own word or by that of somebody on the way.
        (Encrypt.NOT_SUPPORTED, falls_silent, "offers no encryption"),
        (Encrypt.LOGIN_ONLY, falls_silent, "offers no encryption"),
        (Encrypt.ON, hangs_up, "ended the TLS handshake"),
        (Encrypt.ON, talks_nonsense, "is not TLS"),
        (Encrypt.ON, falls_silent, "in time"),
        (Encrypt.ON, dribbles, "in time"),
    ],
)
async def test_a_handshake_that_fails_ends_it_before_the_password(
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    answer: Encrypt,
    then: Serve,
    mend: str,
) -> None:
    monkeypatch.setattr(connections, "CONNECT_S", 1.0)
    ticks = asyncio.create_task(_ticks())
    began = time.monotonic()
    await _is_unavailable(answers_prelogin(answer, then), "", certificates, caplog, mend)
    took = time.monotonic() - began
    ticks.cancel()
    assert took < 3
    assert _longest < 0.5, "the event loop stood still"


async def test_a_server_without_tls_first_is_told_by_strict(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    server = stand_in(NOWHERE, None)
    mend = "Encrypt=strict needs SQL Server 2022"
    await _is_unavailable(server.serve, "Encrypt=strict", certificates, caplog, mend)


async def test_a_server_with_another_tls_only_is_told(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    server = stand_in(NOWHERE, certificates.good)
    assert server._encryption is not None
    server._encryption.inside.maximum_version = ssl.TLSVersion.TLSv1_3
    server._encryption.inside.minimum_version = ssl.TLSVersion.TLSv1_3
    await _is_unavailable(server.serve, "", certificates, caplog, "no TLS version or cipher")


async def test_a_file_without_a_certificate_is_told(
    tmp_path: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in (("empty.pem", ""), ("none.pem", "nothing"), ("absent.pem", None)):
        origin._logged.clear()
        caplog.clear()
        if text is not None:
            (tmp_path / name).write_text(text)
        async with listening(stand_in(NOWHERE, certificates.good).serve) as port:
            assert await _reason(url(port, "", tmp_path / name)) == "STORE_UNAVAILABLE"
        assert "holds no certificate" in caplog.text


@pytest.mark.parametrize("mode", ["mandatory", "strict", "optional"])
async def test_a_refused_log_in_is_denied_over_tls_too(
    certificates: Certificates, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    caplog.set_level(logging.DEBUG)
    server = stand_in(NOWHERE, certificates.good)
    async with listening(server.serve) as port, FaultProxy(port, record=True) as proxy:
        target = url(proxy.port, f"Encrypt={mode}", certificates.authority, "swordfish")
        assert await _reason(target) == "STORE_DENIED"
    assert "check user, password and database in SQLSERVER_URL" in caplog.text
    assert "swordfish" not in caplog.text
    assert as_on_the_wire("swordfish") not in proxy.carried


_longest = 0.0


async def _ticks() -> None:
    """Measures how long the event loop stands still."""
    global _longest
    _longest = 0.0
    last = time.monotonic()
    while True:
        await asyncio.sleep(0.01)
        now = time.monotonic()
        _longest, last = max(_longest, now - last), now


async def _reason(target: str) -> str:
    entry = DatabaseEntry("sqlserver", "sqlserver", {"url": target})
    async with open_database(entry) as database:
        return await reason_of(database.ping())


async def _is_unavailable(
    serve: Serve,
    options: str,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
    mend: str,
) -> None:
    async with listening(serve) as port, FaultProxy(port, record=True) as proxy:
        target = url(proxy.port, options, certificates.authority)
        assert await _reason(target) == "STORE_UNAVAILABLE"
    assert mend in caplog.text
    assert proxy.carried, "nothing was asked at all"
    assert as_on_the_wire(PASSWORD) not in proxy.carried
