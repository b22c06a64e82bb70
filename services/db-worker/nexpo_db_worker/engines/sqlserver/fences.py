"""Fences in SQL Server, each effect one statement."""

from __future__ import annotations

from datetime import datetime

import pytds

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Row, Values, new_row
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.sqlserver.connection import Connection
from nexpo_db_worker.engines.sqlserver.errors import is_duplicate
from nexpo_db_worker.engines.sqlserver.pool import Pool
from nexpo_db_worker.engines.sqlserver.rows import (
    is_live,
    naive,
    parameters,
    places,
    read,
    table_name,
    taken_column,
)

_KEY = "tenant = %(tenant)s AND effect_key = %(key)s"


class SqlServerFences:
    """See Fences."""

    def __init__(self, pool: Pool, table: Table) -> None:
        self._pool = pool
        self._table = table
        name, columns = table_name(table), ", ".join(table.names)
        emptied = ", ".join(f"{column} = NULL" for column in table.names)
        dead = f"tombstone = 1, tombstone_time = SYSUTCDATETIME(), {emptied}"
        self._insert = f"""
            INSERT INTO {name} (tenant, effect_key, {columns})
            VALUES (%(tenant)s, %(key)s, {", ".join(places(table.names))});
            SELECT CAST(SCOPE_IDENTITY() AS BIGINT);
        """
        self._first = f"SELECT tombstone, id, {columns} FROM {name} WHERE {_KEY}"
        self._bury = f"UPDATE {name} SET {dead} WHERE {_KEY} AND tombstone = 0"
        self._bury_nothing = f"""
            INSERT INTO {name} (tenant, effect_key, tombstone, tombstone_time)
            VALUES (%(tenant)s, %(key)s, 1, SYSUTCDATETIME())
        """
        self._erase = f"UPDATE {name} SET {dead} WHERE {is_live(table)}"
        # Short transactions: a purge never holds many rows.
        self._purge = f"""
            DELETE FROM {name} WHERE id IN (
                SELECT TOP (1000) id FROM {name}
                WHERE tombstone = 1 AND tombstone_time < %(before)s ORDER BY tombstone_time
            )
        """

    async def create(self, tenant: str, key: str, values: Values) -> Row:
        """See Fences."""
        table, written = self._table, parameters(self._table, values)

        def work(connection: Connection) -> Row:
            while True:
                try:
                    _, rows = connection.execute(self._insert, tenant=tenant, key=key, **written)
                    return new_row(table, str(rows[0][0]), values)
                except pytds.DatabaseError as error:
                    if not is_duplicate(error):
                        raise
                    duplicate = error
                _, rows = connection.execute(self._first, tenant=tenant, key=key)
                if rows:
                    tombstone, *columns = rows[0]
                    if tombstone:
                        raise self._pool.origin.fault(Reason.REASON_FENCED)
                    return read(table, columns)
                if taken := taken_column(table, duplicate):
                    raise Taken(taken)
                # The key's tombstone was purged between the two statements: once more.

        return await self._pool.run(work)

    async def remove(self, tenant: str, key: str) -> None:
        """See Fences."""

        def work(connection: Connection) -> None:
            if connection.execute(self._bury, tenant=tenant, key=key)[0]:
                return
            try:
                connection.execute(self._bury_nothing, tenant=tenant, key=key)
            except pytds.DatabaseError as error:
                if not is_duplicate(error):
                    raise
                # A tombstone is there already, or a creation has landed in between.
                connection.execute(self._bury, tenant=tenant, key=key)

        await self._pool.run(work)

    async def erase(self, tenant: str, name: str) -> None:
        """See Fences."""
        await self._pool.execute(self._erase, tenant=tenant, name=name)

    async def purge(self, before: datetime) -> int:
        """See Fences."""
        purged, _ = await self._pool.execute(self._purge, before=naive(before))
        return purged
