"""The schema in a Supabase project: PostgreSQL's tables, closed to the public roles.

PostgREST cannot create tables, so this needs the project's database itself
(SUPABASE_DATABASE_URL). Without it, run `FILES` in this order once by hand, each
with psql or in the project's SQL editor, after creating the ledger, and then
access.sql, which closes every table to the public roles:

    CREATE TABLE nexpo_migrations (name text PRIMARY KEY, applied_time timestamptz);
"""

from __future__ import annotations

from pathlib import Path

from nexpo_db_worker.providers.postgres import migrations as postgres

FILES = (
    *sorted(postgres.FOLDER.glob("*.sql")),
    *sorted(Path(__file__).parent.glob("*.sql")),
)
