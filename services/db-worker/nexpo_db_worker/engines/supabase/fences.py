"""Fences in Supabase, each effect one request, which PostgREST makes one statement."""

from __future__ import annotations

from datetime import datetime

from postgrest.types import ReturnMethod

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Row, Values, new_row
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.postgres.rows import table_name
from nexpo_db_worker.engines.supabase.connection import Project
from nexpo_db_worker.engines.supabase.errors import ApiRefusal
from nexpo_db_worker.engines.supabase.rows import Json, fields, read, rows

_PURGE_BATCH = 200  # their ids travel in a URL


class SupabaseFences:
    """See Fences."""

    def __init__(self, project: Project, table: Table) -> None:
        self._project = project
        self._table = table
        # PostgreSQL reads "now" as the time of the statement.
        self._dead: Json = {**dict.fromkeys(table.names), "removed_time": "now"}

    async def create(self, tenant: str, key: str, values: Values) -> Row:
        """See Fences."""
        row = {"tenant": tenant, "key": key, **fields(values)}
        while True:
            try:
                async with self._project.table(self._table) as table:
                    made = rows((await table.insert(row).select("id").execute()).data)
                return new_row(self._table, str(made[0]["id"]), values)
            except ApiRefusal as refusal:
                duplicate = refusal
            async with self._project.table(self._table) as table:
                query = table.select("*").eq("tenant", tenant).eq("key", key).limit(1)
                first = rows((await query.execute()).data)
            if first:
                if first[0]["removed_time"] is not None:
                    raise self._project.origin.fault(Reason.REASON_FENCED)
                return read(self._table, first[0])
            if taken := taken_column(self._project, self._table, duplicate):
                raise Taken(taken)
            # The key's tombstone was purged in between: once more.

    async def remove(self, tenant: str, key: str) -> None:
        """See Fences."""
        tombstone = {"tenant": tenant, "key": key, **self._dead}
        async with self._project.table(self._table) as table:
            await table.upsert(
                tombstone, on_conflict="tenant,key", returning=ReturnMethod.minimal
            ).execute()

    async def erase(self, tenant: str, name: str) -> None:
        """See Fences."""
        async with self._project.table(self._table) as table:
            await (
                table.update(self._dead, returning=ReturnMethod.minimal)
                .eq("tenant", tenant)
                .eq(self._table.id, name)
                .is_("removed_time", None)
                .execute()
            )

    async def purge(self, before: datetime) -> int:
        """See Fences; at most 200 a call."""
        past = before.isoformat()
        async with self._project.table(self._table) as table:
            old = table.select("id").lt("removed_time", past).limit(_PURGE_BATCH)
            found = rows((await old.execute()).data)
            if not found:
                return 0
            ids = [row["id"] for row in found]
            gone = table.delete().in_("id", ids).lt("removed_time", past).select("id")
            return len(rows((await gone.execute()).data))


def taken_column(project: Project, table: Table, refusal: ApiRefusal) -> str:
    """The column whose index refused a row; "" when it was the key's.

    Raises:
        Fault: STORE_REFUSED: It is another index.
    """
    for column in (*table.keys, "key"):
        if refusal.constraint == f"{table_name(table)}_{column}":
            return "" if column == "key" else column
    raise project.origin.fault(Reason.REASON_STORE_REFUSED, refusal)
