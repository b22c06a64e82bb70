"""Fixtures of all tests of the db-worker."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from nexpo_dev.pytest_plugin import MongoAddress, PostgresAddress

pytest.register_assert_rewrite("user_store_contract")


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
