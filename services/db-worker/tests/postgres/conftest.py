"""PostgreSQL for these tests, and an empty database of a test's own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from nexpo_dev.pytest_plugin import PostgresAddress


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresAddress) -> str:
    """A superuser's URL."""
    return postgres.url


@pytest.fixture
async def empty_database(postgres_url: str) -> AsyncIterator[str]:
    """URL of a database with nothing in it, dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
