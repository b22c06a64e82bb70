"""SQL Server keeps users as every store must, and its own promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest
from tcp_proxy import TcpProxy
from user_store_contract import Age, Distant, Dump, UserStoreContract

from nexpo_db_worker.providers.sqlserver import open_sqlserver
from nexpo_db_worker.providers.sqlserver.connection import Connection
from nexpo_db_worker.providers.sqlserver.target import Target
from nexpo_db_worker.stores import UserStore
from nexpo_dev.pytest_plugin import SqlServerAddress


@pytest.fixture
async def store(sqlserver: SqlServerAddress) -> AsyncIterator[UserStore]:
    async with open_sqlserver(sqlserver.url) as opened:
        yield opened


@pytest.fixture
async def dump(sqlserver: SqlServerAddress) -> Dump:
    def read(tenant: str) -> str:
        connection = Connection(Target.parse(sqlserver.url))
        try:
            return " ".join(
                str(connection.execute(f"SELECT * FROM {table} WHERE tenant = %(t)s", t=tenant)[1])
                for table in ("dbo.nexpo_users", "dbo.nexpo_claims")
            )
        finally:
            connection.close()

    return lambda tenant: asyncio.to_thread(read, tenant)


@pytest.fixture
async def age(sqlserver: SqlServerAddress) -> Age:
    def write(tenant: str) -> None:
        connection = Connection(Target.parse(sqlserver.url))
        try:
            for table in ("dbo.nexpo_users", "dbo.nexpo_claims"):
                connection.execute(
                    f"UPDATE {table} SET tombstone_time = %(past)s"
                    " WHERE tenant = %(t)s AND tombstone = 1",
                    t=tenant,
                    past=datetime.now(UTC).replace(tzinfo=None) - timedelta(days=8),
                )
        finally:
            connection.close()

    return lambda tenant: asyncio.to_thread(write, tenant)


@pytest.fixture
async def distant(sqlserver: SqlServerAddress) -> AsyncIterator[Distant]:
    parts = urlsplit(sqlserver.url)
    async with TcpProxy(parts.hostname or "", parts.port or 1433) as proxy:
        login = parts.netloc.rpartition("@")[0]
        url = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}"))
        async with open_sqlserver(url) as opened:
            yield Distant(opened, proxy)


class TestSqlServerUsers(UserStoreContract):
    """The contract of every store."""
