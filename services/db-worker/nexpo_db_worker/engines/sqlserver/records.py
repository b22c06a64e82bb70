"""Records in SQL Server."""

from __future__ import annotations

from collections.abc import Collection

import pytds

from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Place, Row, Values
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.sqlserver.connection import Connection
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


class SqlServerRecords:
    """See Records."""

    def __init__(self, pool: Pool, table: Table) -> None:
        self._pool = pool
        self._table = table
        name, columns = table_name(table), f"id, {', '.join(table.names)}"
        first, then = table.order, table.id
        begin = f"SELECT TOP (%(limit)s) {columns} FROM {name} WHERE tenant = %(tenant)s"
        end = f"AND tombstone = 0 ORDER BY {first}, {then}"
        self._get = f"SELECT {columns} FROM {name} WHERE {is_live(table)}"
        self._first_page = f"{begin} {end}"
        self._page = f"""
            {begin} AND ({first} > %(time)s OR ({first} = %(time)s AND {then} > %(name)s)) {end}
        """
        self._etag = f"SELECT {table.etag} FROM {name} WHERE {is_live(table)}"

    async def get(self, tenant: str, name: str) -> Row | None:
        """See Records."""
        _, rows = await self._pool.execute(self._get, tenant=tenant, name=name)
        return read(self._table, rows[0]) if rows else None

    async def page(self, tenant: str, after: Place | None, limit: int) -> list[Row]:
        """See Records."""
        values: dict[str, object] = {"tenant": tenant, "limit": limit}
        if after is not None:
            values |= {"time": naive(after.time), "name": after.id}
        statement = self._page if after else self._first_page
        _, rows = await self._pool.execute(statement, **values)
        return [read(self._table, row) for row in rows]

    async def replace(self, tenant: str, values: Values, expected: Collection[str]) -> str | None:
        """See Records."""
        table, which = self._table, {"tenant": tenant, "name": values[self._table.id]}
        changed = {column: value for column, value in values.items() if column != table.id}
        allowed = {f"expected_{n}": etag for n, etag in enumerate(sorted(set(expected)))}
        pairs = zip(changed, places(changed), strict=True)
        changes = ", ".join(f"{column} = {place}" for column, place in pairs)
        etags = ", ".join(f"%({name})s" for name in allowed)
        statement = f"""
            UPDATE {table_name(table)} SET {changes}
            WHERE {is_live(table)} AND {table.etag} IN ({etags})
        """
        written = parameters(table, changed)

        def work(connection: Connection) -> str | None:
            try:
                if allowed and connection.execute(statement, **which, **written, **allowed)[0]:
                    return str(values[table.etag])
            except pytds.DatabaseError as error:
                raise Taken(taken_column(table, error)) from None
            _, rows = connection.execute(self._etag, **which)
            return rows[0][0] if rows else None

        return await self._pool.run(work)
