"""A PostgreSQL database of these tests' own, on the embedded server or TEST_POSTGRES_URL's."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """A superuser's URL of the server."""
    return os.environ.get("TEST_POSTGRES_URL") or str(request.getfixturevalue("postgres").url)


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
