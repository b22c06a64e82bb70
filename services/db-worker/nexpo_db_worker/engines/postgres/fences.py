"""Fences in PostgreSQL, each effect one statement."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Row, Values, new_row
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.postgres.connection import Pool
from nexpo_db_worker.engines.postgres.rows import parameter, parameters, read, table_name

# Short transactions: a purge never holds many rows, nor waits for one.
_PURGE = """
    WITH old AS (
        SELECT id FROM {0} WHERE removed_time < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM {0} USING old WHERE {0}.id = old.id RETURNING 1
    )
    SELECT count(*) FROM gone
"""


class PostgresFences:
    """See Fences."""

    def __init__(self, pool: Pool, table: Table) -> None:
        self._pool = pool
        self._table = table
        name, columns = table_name(table), ", ".join(table.names)
        places = ", ".join(parameter(table, one, n) for n, one in enumerate(table.names, 3))
        emptied = ", ".join([*(f"{one} = NULL" for one in table.names), "removed_time = now()"])
        # Where one column alone can be taken no error must tell which: it would be in the
        # server's log, with the value.
        target = "(tenant, key)" if table.unique else ""
        self._insert = f"""
            INSERT INTO {name} (tenant, key, {columns}) VALUES ($1, $2, {places})
            ON CONFLICT {target} DO NOTHING RETURNING id
        """
        self._first = f"""
            SELECT id, {columns}, removed_time FROM {name} WHERE tenant = $1 AND key = $2
        """
        self._remove = f"""
            INSERT INTO {name} (tenant, key, removed_time) VALUES ($1, $2, now())
            ON CONFLICT (tenant, key) DO UPDATE SET {emptied} WHERE {name}.removed_time IS NULL
        """
        self._erase = f"""
            UPDATE {name} SET {emptied}
            WHERE tenant = $1 AND {table.id} = $2 AND removed_time IS NULL
        """
        self._purge = _PURGE.format(name)

    async def create(self, tenant: str, key: str, values: Values) -> Row:
        """See Fences."""
        table = self._table
        written = parameters(table, table.names, values)
        while True:
            async with self._pool.connection() as connection:
                taken = "" if table.unique else table.id
                try:
                    new_id = await connection.fetchval(self._insert, tenant, key, *written)
                except asyncpg.UniqueViolationError as error:
                    new_id, taken = None, taken_column(table, error)
                if new_id is not None:
                    return new_row(table, str(new_id), values)
                first = await connection.fetchrow(self._first, tenant, key)
            if first is not None:
                if first["removed_time"] is not None:
                    raise self._pool.origin.fault(Reason.REASON_FENCED)
                return read(table, first)
            if taken:
                raise Taken(taken)
            # The key's tombstone was purged between the two statements: once more.

    async def remove(self, tenant: str, key: str) -> None:
        """See Fences."""
        await self._pool.execute(self._remove, tenant, key)

    async def erase(self, tenant: str, name: str) -> None:
        """See Fences."""
        await self._pool.execute(self._erase, tenant, name)

    async def purge(self, before: datetime) -> int:
        """See Fences."""
        async with self._pool.connection() as connection:
            return int(await connection.fetchval(self._purge, before))


def taken_column(table: Table, error: asyncpg.UniqueViolationError) -> str:
    """The column whose index refused a row. Raises: UniqueViolationError: It is none."""
    for column in table.keys:
        if error.constraint_name == f"{table_name(table)}_{column}":
            return column
    raise error
