"""Records in Supabase, each one request, which PostgREST makes one statement."""

from __future__ import annotations

from collections.abc import Collection

from nexpo_db_worker.capabilities.fences import Taken
from nexpo_db_worker.capabilities.rows import Place, Row, Values
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.supabase.connection import Project
from nexpo_db_worker.engines.supabase.errors import ApiRefusal
from nexpo_db_worker.engines.supabase.fences import taken_column
from nexpo_db_worker.engines.supabase.rows import fields, quoted, read, rows


class SupabaseRecords:
    """See Records."""

    def __init__(self, project: Project, table: Table) -> None:
        self._project = project
        self._table = table

    async def get(self, tenant: str, name: str) -> Row | None:
        """See Records."""
        async with self._project.table(self._table) as table:
            query = table.select("*").eq("tenant", tenant).eq(self._table.id, name)
            found = rows((await query.is_("removed_time", None).limit(1).execute()).data)
        return read(self._table, found[0]) if found else None

    async def page(self, tenant: str, after: Place | None, limit: int) -> list[Row]:
        """See Records; a project may cut a page at 1,000 rows (its "max rows")."""
        first, then = self._table.order, self._table.id
        async with self._project.table(self._table) as table:
            query = table.select("*").eq("tenant", tenant).is_("removed_time", None)
            if after is not None:
                time, name = quoted(after.time.isoformat()), quoted(after.id)
                query = query.or_(f"{first}.gt.{time},and({first}.eq.{time},{then}.gt.{name})")
            answer = await query.order(first).order(then).limit(limit).execute()
        return [read(self._table, row) for row in rows(answer.data)]

    async def replace(self, tenant: str, values: Values, expected: Collection[str]) -> str | None:
        """See Records."""
        id_, etag = self._table.id, self._table.etag
        changes = {column: value for column, value in values.items() if column != id_}
        etags = ",".join(quoted(one) for one in expected)
        try:
            async with self._project.table(self._table) as table:
                answer = await (
                    table.update(fields(changes))
                    .eq("tenant", tenant)
                    .eq(id_, values[id_])
                    .is_("removed_time", None)
                    .filter(etag, "in", f"({etags})")
                    .select("id")
                    .execute()
                )
        except ApiRefusal as refusal:
            raise Taken(taken_column(self._project, self._table, refusal)) from None
        if answer.data:
            return str(values[etag])
        async with self._project.table(self._table) as table:
            query = table.select(etag).eq("tenant", tenant).eq(id_, values[id_])
            found = rows((await query.is_("removed_time", None).limit(1).execute()).data)
        return found[0][etag] if found else None
