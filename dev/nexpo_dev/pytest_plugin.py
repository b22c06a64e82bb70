"""Session fixtures for every server of the embedded stack, shared by all pytest-xdist workers.

A fixture gives the addresses of a running server. Tests share it, so each keeps to a tenant, a
schema or random names of its own, and a test that kills a server starts one for itself:
`async with nexpo_dev.servers.postgres(tmp_path) as server`.

With TEST_DATABASE_URL, TEST_MONGODB_URL, TEST_SUPABASE_URL/_KEY/_DATABASE_URL,
TEST_COSMOSDB_URL/_KEY, TEST_SQLSERVER_URL, TEST_S3_ENDPOINT_URL/_BUCKET/_REGION/_ACCESS_KEY_ID/
_SECRET_ACCESS_KEY or TEST_ANTHROPIC_BASE_URL/_API_KEY in the environment, the same tests run
against that server instead.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from nexpo_dev.waiting import PATIENCE

_SOCKET = pytest.StashKey[Path]()
_OWNER = pytest.StashKey["_Owner"]()


@dataclass(frozen=True)
class PostgresAddress:
    """A PostgreSQL database whose user may do anything."""

    url: str


@dataclass(frozen=True)
class MongoAddress:
    """A MongoDB replica set whose user may do anything."""

    url: str


@dataclass(frozen=True)
class SupabaseAddress:
    """A Supabase project: API end point, service key, and its database for migrations."""

    url: str
    key: str
    database_url: str


@dataclass(frozen=True)
class CosmosAddress:
    """A Cosmos DB account."""

    url: str
    key: str


@dataclass(frozen=True)
class SqlServerAddress:
    """An SQL Server database whose user may do anything: mssql://user:password@host:port/db."""

    url: str


@dataclass(frozen=True)
class ObjectStorageAddress:
    """An S3 end point, addressed by path, with one bucket."""

    url: str
    bucket: str
    region: str
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class MailboxAddress:
    """The SMTP catcher: where to send, and the HTTP API to read and to make faults."""

    url: str
    smtp_url: str


@dataclass(frozen=True)
class ClaudeAddress:
    """A Claude API: base URL and key."""

    url: str
    api_key: str


@dataclass(frozen=True)
class TemporalAddress:
    """A Temporal front end (host:port), its namespace and its Web UI."""

    url: str
    namespace: str
    ui_url: str


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> PostgresAddress:
    """PostgreSQL 18."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        return PostgresAddress(url)
    return PostgresAddress(_ask(request, "postgres")["url"])


@pytest.fixture(scope="session")
def mongodb(request: pytest.FixtureRequest) -> MongoAddress:
    """MongoDB, by SecantusDB."""
    if url := os.environ.get("TEST_MONGODB_URL"):
        return MongoAddress(url)
    return MongoAddress(_ask(request, "mongodb")["url"])


@pytest.fixture(scope="session")
def supabase(request: pytest.FixtureRequest) -> SupabaseAddress:
    """Supabase: PostgREST on a PostgreSQL of its own."""
    if url := os.environ.get("TEST_SUPABASE_URL"):
        key, database = os.environ["TEST_SUPABASE_KEY"], os.environ["TEST_SUPABASE_DATABASE_URL"]
        return SupabaseAddress(url, key, database)
    found = _ask(request, "supabase")
    return SupabaseAddress(found["url"], found["key"], found["database_url"])


@pytest.fixture(scope="session")
def cosmosdb(request: pytest.FixtureRequest) -> CosmosAddress:
    """The Cosmos DB stand-in."""
    if url := os.environ.get("TEST_COSMOSDB_URL"):
        return CosmosAddress(url, os.environ["TEST_COSMOSDB_KEY"])
    found = _ask(request, "cosmosdb")
    return CosmosAddress(found["url"], found["key"])


@pytest.fixture(scope="session")
def sqlserver(request: pytest.FixtureRequest) -> SqlServerAddress:
    """The SQL Server stand-in."""
    if url := os.environ.get("TEST_SQLSERVER_URL"):
        return SqlServerAddress(url)
    return SqlServerAddress(_ask(request, "sqlserver")["url"])


@pytest.fixture(scope="session")
def object_storage(request: pytest.FixtureRequest) -> ObjectStorageAddress:
    """S3, by SeaweedFS."""
    if url := os.environ.get("TEST_S3_ENDPOINT_URL"):
        return ObjectStorageAddress(
            url,
            bucket=os.environ["TEST_S3_BUCKET"],
            region=os.environ.get("TEST_S3_REGION", "us-east-1"),
            access_key_id=os.environ["TEST_S3_ACCESS_KEY_ID"],
            secret_access_key=os.environ["TEST_S3_SECRET_ACCESS_KEY"],
        )
    found = _ask(request, "object_storage")
    names = ("url", "bucket", "region", "access_key_id", "secret_access_key")
    return ObjectStorageAddress(**{name: found[name] for name in names})


@pytest.fixture(scope="session")
def mailbox(request: pytest.FixtureRequest) -> MailboxAddress:
    """The SMTP catcher."""
    found = _ask(request, "mailbox")
    return MailboxAddress(found["url"], found["smtp_url"])


@pytest.fixture(scope="session")
def claude(request: pytest.FixtureRequest) -> ClaudeAddress:
    """The Claude stand-in."""
    if url := os.environ.get("TEST_ANTHROPIC_BASE_URL"):
        return ClaudeAddress(url, os.environ["TEST_ANTHROPIC_API_KEY"])
    found = _ask(request, "claude")
    return ClaudeAddress(found["url"], found["api_key"])


@pytest.fixture(scope="session")
def temporal(request: pytest.FixtureRequest) -> TemporalAddress:
    """Temporal's dev server; tests keep apart by their task queues."""
    found = _ask(request, "temporal")
    return TemporalAddress(found["url"], found["namespace"], found["ui_url"])


class _Owner:
    """pytest's hold on the process that owns the servers."""

    def __init__(self) -> None:
        # A Unix socket's path may have but 107 characters: hence /tmp, whatever TMPDIR is. Others
        # may pass through, because PostgreSQL runs as another user when pytest runs as root.
        self.folder = Path(tempfile.mkdtemp(prefix="nexpo-test-", dir="/tmp"))
        self.folder.chmod(0o711)
        self.socket = self.folder / "socket"
        program = [sys.executable, "-m", "nexpo_dev.shared_servers"]
        self._process = subprocess.Popen(
            [*program, str(self.socket), str(self.folder / "run")],
            stdin=subprocess.PIPE,  # closed when pytest dies, in whatever way
            process_group=0,
        )

    def end(self) -> None:
        """Close its standard input, wait until every server is gone, delete the folder."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Take the socket's path from pytest-xdist's main process, when this is a worker."""
    workerinput = cast("dict[str, str]", getattr(config, "workerinput", {}))
    if path := workerinput.get("nexpo_test_servers"):
        config.stash[_SOCKET] = Path(path)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Give a worker of pytest-xdist the socket's path; the first call starts the process."""
    config = cast("pytest.Config", node.config)  # type: ignore[attr-defined]  # xdist is untyped
    node.workerinput["nexpo_test_servers"] = str(_socket(config))  # type: ignore[attr-defined]  # so


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what was started."""
    if owner := config.stash.get(_OWNER, None):
        owner.end()


def _socket(config: pytest.Config) -> Path:
    if _SOCKET not in config.stash:
        config.stash[_OWNER] = _Owner()
        config.stash[_SOCKET] = config.stash[_OWNER].socket
    return config.stash[_SOCKET]


def _ask(request: pytest.FixtureRequest, name: str) -> dict[str, str]:
    """The addresses of a server, started by the first who asks."""
    path = _socket(request.config)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2 * PATIENCE)
        _connect(connection, path)
        connection.sendall(name.encode() + b"\n")
        answer = json.loads(connection.makefile().readline())
    if "error" in answer:
        pytest.fail(f"{name} could not be started: {answer['error']}", pytrace=False)
    return cast("dict[str, str]", answer)


def _connect(connection: socket.socket, path: Path) -> None:
    """Connect as soon as the owning process listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                pytest.fail(f"no process owns the servers: nothing listens at {path}")
            time.sleep(0.05)
