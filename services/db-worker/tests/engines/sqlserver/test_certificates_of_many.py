"""Certificates for many hosts, and clients that are sent on to another: Azure SQL has both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from servers_that_encrypt import gateway_to_nowhere, listening, stand_in, url

from nexpo_db_worker.engines.sqlserver.connection import Connection
from nexpo_db_worker.engines.sqlserver.target import Target
from nexpo_db_worker.engines.sqlserver.tls_errors import TlsError
from nexpo_dev.certificates import Authority


async def logged_in(target: str) -> None:
    """Logs in and out again."""
    await asyncio.to_thread(lambda: Connection(Target.parse(target)).close())


def issued(authority: Authority, folder: Path, *hosts: str) -> tuple[Path, Path]:
    """A certificate in a folder of its own."""
    folder.mkdir()
    return authority.issue(folder, *hosts)


@pytest.mark.parametrize("mode", ["mandatory", "strict"])
@pytest.mark.parametrize("name", ["db.example.com", "*.example.com"])
async def test_a_certificate_for_all_hosts_of_a_domain_lets_in(
    postgres_url: str, tmp_path: Path, name: str, mode: str
) -> None:
    authority = Authority()
    pair = issued(authority, tmp_path / "a", "cr5.control.example.com", "*.example.com")
    async with listening(stand_in(postgres_url, pair).serve) as port:
        options = f"Encrypt={mode}&HostNameInCertificate={name}"
        await logged_in(url(port, options, authority.write(tmp_path)))


@pytest.mark.parametrize("mode", ["mandatory", "strict"])
async def test_a_certificate_of_many_packets_is_read_whole(
    postgres_url: str, tmp_path: Path, mode: str
) -> None:
    authority = Authority()
    others = (f"a-name-of-a-host-{n}.westus2-a.control.database.example.com" for n in range(200))
    pair = issued(authority, tmp_path / "a", "127.0.0.1", *others)
    assert pair[0].stat().st_size > 3 * 4096
    async with listening(stand_in(postgres_url, pair).serve) as port:
        await logged_in(url(port, f"Encrypt={mode}", authority.write(tmp_path)))


async def test_who_is_sent_on_is_held_to_the_name_of_the_certificate_and_told_so(
    postgres_url: str, tmp_path: Path
) -> None:
    authority = Authority()
    gateway = gateway_to_nowhere(issued(authority, tmp_path / "front", "db.example.com"))
    named = issued(authority, tmp_path / "named", "127.0.0.1", "*.example.com")
    other = issued(authority, tmp_path / "other", "127.0.0.1")
    options = "HostNameInCertificate=db.example.com"
    async with (
        listening(stand_in(postgres_url, named).serve) as there,
        listening(stand_in(postgres_url, other).serve) as elsewhere,
        listening(gateway.serve) as port,
    ):
        target = url(port, options, authority.write(tmp_path))
        gateway.onward = there
        await logged_in(target)
        gateway.onward = elsewhere
        with pytest.raises(TlsError, match=r"sends clients on to others.*leave that out"):
            await logged_in(target)
