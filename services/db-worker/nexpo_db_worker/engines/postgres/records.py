"""Records in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Place, Row, Values
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.postgres.connection import Pool
from nexpo_db_worker.engines.postgres.fences import taken_column
from nexpo_db_worker.engines.postgres.rows import parameter, parameters, read, table_name


class PostgresRecords:
    """See Records."""

    def __init__(self, pool: Pool, table: Table) -> None:
        self._pool = pool
        self._table = table
        self._name = table_name(table)
        select = f"SELECT id, {', '.join(table.names)} FROM {self._name}"
        live = "WHERE tenant = $1 AND removed_time IS NULL"
        order = f"{table.order}, {table.id}"
        self._one = f"{live} AND {table.id} = $2"
        self._get = f"{select} {self._one}"
        self._first_page = f"{select} {live} ORDER BY {order} LIMIT $2"
        self._page = f"{select} {live} AND ({order}) > ($2, $3) ORDER BY {order} LIMIT $4"
        self._etag = f"SELECT {table.etag} FROM {self._name} {self._one}"

    async def get(self, tenant: str, name: str) -> Row | None:
        """See Records."""
        async with self._pool.connection() as connection:
            found = await connection.fetchrow(self._get, tenant, name)
        return None if found is None else read(self._table, found)

    async def page(self, tenant: str, after: Place | None, limit: int) -> list[Row]:
        """See Records."""
        async with self._pool.connection() as connection:
            if after is None:
                rows = await connection.fetch(self._first_page, tenant, limit)
            else:
                rows = await connection.fetch(self._page, tenant, after.time, after.id, limit)
        return [read(self._table, row) for row in rows]

    async def replace(self, tenant: str, values: Values, expected: Collection[str]) -> str | None:
        """See Records."""
        table = self._table
        columns = [column for column in values if column != table.id]
        changes = ", ".join(
            f"{column} = {parameter(table, column, n)}" for n, column in enumerate(columns, 4)
        )
        statement = f"""
            UPDATE {self._name} SET {changes} {self._one} AND {table.etag} = ANY($3::text[])
            RETURNING {table.etag}
        """
        name, written = values[table.id], parameters(table, columns, values)
        async with self._pool.connection() as connection:
            try:
                etag: str | None = await connection.fetchval(
                    statement, tenant, name, list(expected), *written
                )
            except asyncpg.UniqueViolationError as error:
                raise Taken(taken_column(table, error)) from None
            if etag is None:
                etag = await connection.fetchval(self._etag, tenant, name)
        return etag
