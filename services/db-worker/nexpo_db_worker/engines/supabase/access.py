"""Who may use our tables in a Supabase project: the service role alone."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from nexpo_db_worker.engines.postgres.migrations import alone

CLOSE = Path(__file__).with_name("access.sql").read_text(encoding="utf-8")
"""SQL that closes all of it; to be run by hand after migrations that are run by hand."""

# Of the schema public: what a public role may use in any way, or what shows its
# rows to whoever may. A relation's owner is ours, so its name tells whose it is.
_OPEN = """
    SELECT c.relname AS name FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND starts_with(c.relname, 'nexpo_')
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND ((c.relkind IN ('r', 'p') AND NOT c.relrowsecurity) OR EXISTS (
        SELECT FROM unnest(ARRAY['anon', 'authenticated']) role
        WHERE has_table_privilege(role, c.oid,
          'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
          OR has_any_column_privilege(role, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')))
    UNION ALL
    SELECT c.relname FROM pg_class c, unnest(ARRAY['anon', 'authenticated']) role
    WHERE c.relnamespace = 'public'::regnamespace AND starts_with(c.relname, 'nexpo_')
      AND c.relkind = 'S' AND has_sequence_privilege(role, c.oid, 'USAGE, SELECT, UPDATE')
    UNION ALL
    SELECT p.proname FROM pg_proc p, unnest(ARRAY['anon', 'authenticated']) role
    WHERE p.pronamespace = 'public'::regnamespace AND starts_with(p.proname, 'nexpo_')
      AND has_function_privilege(role, p.oid, 'EXECUTE')
    ORDER BY name
"""


async def open_objects(connection: asyncpg.Connection) -> list[str]:
    """Our tables, views, sequences and functions that a public role could use."""
    return sorted({row["name"] for row in await connection.fetch(_OPEN)})


async def close(connection: asyncpg.Connection) -> list[str]:
    """Closes what is open to the public roles, however it came to be.

    Args:
        connection: A connection outside a transaction.

    Returns:
        What was open.

    Raises:
        asyncpg.PostgresError: The role may not close it.
    """
    if not await open_objects(connection):
        return []
    async with alone(connection):
        found = await open_objects(connection)
        await connection.execute(CLOSE)
    return found
