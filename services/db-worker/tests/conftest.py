"""Fixtures of all tests of the db-worker."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from backdoors import BackDoor, back_door, place_of
from distant import Distant
from samples import SAMPLE_CLAIMS, SAMPLES, sample_migrations

from nexpo_db_worker.capabilities.fences import Fences
from nexpo_db_worker.capabilities.records import Records
from nexpo_db_worker.claims import Claims
from nexpo_db_worker.databases.opened import Database, open_database
from nexpo_db_worker.engines import ENGINES
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_dev.fault_proxy import FaultProxy
from nexpo_dev.pytest_plugin import MongoAddress, PostgresAddress

pytest.register_assert_rewrite("calls")


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own, so that tests share a server."""
    return f"tenant-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresAddress) -> str:
    """A PostgreSQL superuser's URL."""
    return postgres.url


@pytest.fixture
async def empty_database(postgres_url: str) -> AsyncIterator[str]:
    """URL of a PostgreSQL database with nothing in it, dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def mongodb_url(mongodb: MongoAddress) -> str:
    """URL of a MongoDB database of these tests' own."""
    parts = urlsplit(mongodb.url)
    query = parts.query
    if "directConnection" not in query:  # a replica set would be reached past a proxy
        query = f"{query}&directConnection=true".lstrip("&")
    return urlunsplit(parts._replace(path=f"/test_{uuid.uuid4().hex}", query=query))


@pytest.fixture(scope="session", params=sorted(ENGINES))
def entry(request: pytest.FixtureRequest) -> Iterator[DatabaseEntry]:
    """A database of every kind of engine that there is, in turn."""
    with place_of(request.param, request) as found:
        yield found


@pytest.fixture
def door(entry: DatabaseEntry) -> BackDoor:
    """The way into the database past the service."""
    return back_door(entry)


@pytest.fixture
async def database(entry: DatabaseEntry) -> AsyncIterator[Database]:
    """The database, with the samples' tables."""
    async with open_database(entry, sample_migrations(entry.kind)) as opened:
        yield opened


@pytest.fixture
def fences(database: Database) -> Fences:
    """Fences of the samples."""
    return database.fences(SAMPLES)


@pytest.fixture
def records(database: Database) -> Records:
    """The samples as records."""
    return database.records(SAMPLES)


@pytest.fixture
def claims(database: Database) -> Claims:
    """Claims beside the samples."""
    return Claims(database.fences(SAMPLE_CLAIMS))


@pytest.fixture
async def distant(entry: DatabaseEntry, database: Database) -> AsyncIterator[Distant]:
    """The database again, behind a proxy."""
    url = entry.options["url"]
    if url.startswith("https:"):
        pytest.skip("A proxy cannot carry TLS under another name.")
    await database.ping()
    async with FaultProxy.before(url) as proxy:
        options = {**entry.options, "url": proxy.through(url)}
        away = DatabaseEntry(entry.id, entry.kind, options)
        async with open_database(away, sample_migrations(entry.kind)) as opened:
            yield Distant(opened, proxy)
