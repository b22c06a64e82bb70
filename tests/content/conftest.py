"""All five stores, open as the db-worker opens them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit, urlunsplit

import pytest
import pytest_asyncio
from backdoors import BackDoor, back_door

from nexpo_db_worker.databases.opened import Databases, open_databases
from nexpo_db_worker.settings import DbSettings
from nexpo_db_worker.users.users import UserDatabases
from nexpo_dev.pytest_plugin import (
    CosmosAddress,
    MongoAddress,
    PostgresAddress,
    SqlServerAddress,
    SupabaseAddress,
)


@pytest.fixture(scope="module")
def settings(
    postgres: PostgresAddress,
    mongodb: MongoAddress,
    cosmosdb: CosmosAddress,
    sqlserver: SqlServerAddress,
    supabase: SupabaseAddress,
) -> DbSettings:
    parts = urlsplit(mongodb.url)
    return DbSettings.load(
        database_url=postgres.url,
        enable_mongodb=True,
        mongodb_url=urlunsplit(parts._replace(path=f"/content_{uuid.uuid4().hex[:12]}")),
        enable_cosmosdb=True,
        cosmosdb_url=cosmosdb.url,
        cosmosdb_key=cosmosdb.key,
        enable_sqlserver=True,
        sqlserver_url=sqlserver.url,
        enable_supabase=True,
        supabase_url=supabase.url,
        supabase_key=supabase.key,
        supabase_database_url=supabase.database_url,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def databases(settings: DbSettings) -> AsyncIterator[Databases]:
    async with AsyncExitStack() as stack:
        yield await open_databases(settings.configured, settings.authority_store, stack)


@pytest.fixture(scope="module")
def users(databases: Databases) -> UserDatabases:
    return UserDatabases.over(databases)


@pytest.fixture(scope="module")
def doors(settings: DbSettings) -> dict[str, BackDoor]:
    """The ways into the databases past the service, by id."""
    return {entry.id: back_door(entry) for entry in settings.entries()}


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own, so that tests share the servers."""
    return f"content-{uuid.uuid4().hex[:12]}"
