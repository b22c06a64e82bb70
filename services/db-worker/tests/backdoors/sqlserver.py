"""SQL Server, by a connection of the engine's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nexpo_db_worker.capabilities.table import Table, Type
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.sqlserver.connection import Connection
from nexpo_db_worker.engines.sqlserver.rows import table_name
from nexpo_db_worker.engines.sqlserver.target import Target


@contextmanager
def place(request: pytest.FixtureRequest) -> Iterator[DatabaseEntry]:
    url = request.getfixturevalue("sqlserver").url
    yield DatabaseEntry("sqlserver", "sqlserver", {"url": url})


class BackDoor:
    """See BackDoor."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._target = Target.parse(options["url"])

    async def dump(self, table: Table, tenant: str) -> str:
        query = f"SELECT * FROM {table_name(table)} WHERE tenant = %(tenant)s"
        return str(await self._run(query, tenant=tenant))

    async def age(self, table: Table, tenant: str) -> None:
        await self._run(
            f"UPDATE {table_name(table)} SET tombstone_time = %(past)s"
            " WHERE tenant = %(tenant)s AND tombstone = 1",
            tenant=tenant,
            past=datetime.now(UTC).replace(tzinfo=None) - timedelta(days=8),
        )

    async def plant(self, table: Table, name: str, column: str, value: Any) -> None:
        await self._run(
            f"UPDATE {table_name(table)} SET {column} = %(value)s WHERE {table.id} = %(name)s",
            name=name,
            value=json.dumps(value) if table.types[column] is Type.JSON else value,
        )

    async def _run(self, statement: str, **values: object) -> object:
        def work() -> object:
            connection = Connection(self._target)
            try:
                return connection.execute(statement, **values)[1]
            finally:
                connection.close()

        return await asyncio.to_thread(work)
