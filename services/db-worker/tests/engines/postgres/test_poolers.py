"""PostgreSQL behind a pooler: used where that can be, and else named with the mend."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from nexpo_db_worker.databases.opened import open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.migrations import migrations_of
from nexpo_db_worker.engines.postgres.migrations import migrate
from nexpo_db_worker.engines.postgres.poolers import shows_pooler
from nexpo_db_worker.users.users import Users
from nexpo_runtime.errors import Fault

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    PGBOUNCER is None, reason="pgbouncer is not installed; Debian has it in the package pgbouncer"
)
PASSED_OVER = "statement_timeout, idle_in_transaction_session_timeout"


@contextlib.contextmanager
def pgbouncer(folder: Path, url: str, mode: str, ignored: str) -> Iterator[str]:
    """A pooler in front of the database; its URL."""
    assert PGBOUNCER is not None
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port} user={parts.username}"
        f" password={parts.password or ''}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 4\n"
        f"ignore_startup_parameters = {ignored}\n"
    )
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    settings.chmod(0o644)
    # It never runs as root.
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PGBOUNCER, *user, str(settings)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        else:
            pytest.fail((folder / "log").read_text())
        yield urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
    finally:
        process.kill()
        process.wait()


async def reads(url: str) -> list[str]:
    """What three reads end with, while another client's transaction takes a connection."""
    async with open_database(DatabaseEntry("postgres", "postgres", {"url": url})) as database:
        users = Users.over(database)

        async def read() -> str:
            try:
                await users.page("t", None, 1)
            except Fault as fault:
                return fault.name
            return "ok"

        ended = [await read(), await read()]
        other = await asyncpg.connect(url)
        try:
            async with other.transaction():
                await other.execute("SELECT 1")
                return [*ended, await read()]
        finally:
            await other.close()


@needs_pgbouncer
@pytest.mark.parametrize("ignored", ["", PASSED_OVER], ids=["strict", "lenient"])
async def test_a_pooler_in_transaction_mode_is_named_with_the_mend(
    tmp_path: Path, empty_database: str, caplog: pytest.LogCaptureFixture, ignored: str
) -> None:
    caplog.set_level(logging.ERROR)
    with pgbouncer(tmp_path, empty_database, "transaction", ignored) as url:
        ended = await reads(url)
    # What happens to work must not be taken for working.
    assert ended[-1] == "STORE_UNAVAILABLE"
    said = [line.getMessage() for line in caplog.records if "pooler" in line.getMessage()]
    assert len(said) == 1
    assert "PostgreSQL: a pooler in transaction mode" in said[0]
    assert "session mode" in said[0]


@needs_pgbouncer
async def test_a_pooler_in_session_mode_is_as_good_as_the_database(
    tmp_path: Path, empty_database: str
) -> None:
    with pgbouncer(tmp_path, empty_database, "session", PASSED_OVER) as url:
        assert await reads(url) == ["ok"] * 3


@needs_pgbouncer
async def test_migrations_alone_need_no_session(tmp_path: Path, empty_database: str) -> None:
    steps = migrations_of("postgres")
    with pgbouncer(tmp_path, empty_database, "transaction", "") as url:
        for applied in ([step.name for step in steps], []):
            connection = await asyncpg.connect(url, statement_cache_size=0)
            assert await migrate(connection, steps) == applied
            await connection.close()


@pytest.mark.parametrize(
    ("kind", "text", "pooler"),
    [
        (asyncpg.InvalidSQLStatementNameError, 'prepared statement "a" does not exist', True),
        (asyncpg.DuplicatePreparedStatementError, 'prepared statement "a" already exists', True),
        (
            asyncpg.ProtocolViolationError,
            "unsupported startup parameter: statement_timeout",
            True,
        ),
        (asyncpg.ProtocolViolationError, "invalid message format", False),
        (asyncpg.CannotConnectNowError, "the database system is starting up", False),
        (asyncpg.InvalidPasswordError, "password authentication failed", False),
    ],
)
def test_only_what_nothing_else_explains_is_taken_for_a_pooler(
    kind: type[asyncpg.PostgresError], text: str, pooler: bool
) -> None:
    assert shows_pooler(kind(text)) is pooler
