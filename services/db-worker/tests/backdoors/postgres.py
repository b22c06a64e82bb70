"""PostgreSQL, by its own driver."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import pytest

from nexpo_db_worker.capabilities.table import Table, Type
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.postgres.rows import table_name


@contextmanager
def place(request: pytest.FixtureRequest) -> Iterator[DatabaseEntry]:
    url = request.getfixturevalue("postgres").url
    yield DatabaseEntry("postgres", "postgres", {"url": url})


class BackDoor:
    """See BackDoor."""

    url_option = "url"

    def __init__(self, options: Mapping[str, str]) -> None:
        self._url = options[self.url_option]

    async def dump(self, table: Table, tenant: str) -> str:
        async with self._connection() as connection:
            query = f"SELECT * FROM {table_name(table)} WHERE tenant = $1"
            return str(await connection.fetch(query, tenant))

    async def age(self, table: Table, tenant: str) -> None:
        async with self._connection() as connection:
            await connection.execute(
                f"UPDATE {table_name(table)} SET removed_time = now() - interval '8 days'"
                " WHERE tenant = $1 AND removed_time IS NOT NULL",
                tenant,
            )

    async def plant(self, table: Table, name: str, column: str, value: Any) -> None:
        is_json = table.types[column] is Type.JSON
        async with self._connection() as connection:
            await connection.execute(
                f"UPDATE {table_name(table)} SET {column} = $2{'::jsonb' if is_json else ''}"
                f" WHERE {table.id} = $1",
                name,
                json.dumps(value) if is_json else value,
            )

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._url)
        try:
            yield connection
        finally:
            await connection.close()
