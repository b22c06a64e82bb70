"""Supabase, over its REST API (PostgREST); no auth service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nexpo_db_worker.capabilities import Capability
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Opened, Option
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.postgres.address import OUTSIDE, SCHEMES, problem
from nexpo_runtime.transport import Outside, https


@asynccontextmanager
async def _open(
    entry: DatabaseEntry, origin: Origin, migrations: Sequence[Migration]
) -> AsyncIterator[Opened]:
    from nexpo_db_worker.engines.supabase.connection import Project
    from nexpo_db_worker.engines.supabase.fences import SupabaseFences
    from nexpo_db_worker.engines.supabase.records import SupabaseRecords

    options = entry.options
    database_url = options.get("database_url") or None
    async with Project.open(
        options["url"], options["key"], database_url, origin, migrations
    ) as project:
        yield Opened(
            ping=project.ping,
            version=project.version,
            fences=lambda table: SupabaseFences(project, table),
            records=lambda table: SupabaseRecords(project, table),
        )


def _problem(key: str) -> str:
    fits = key.isascii() and key.isprintable() and " " not in key
    return "" if fits else "no header can hold it; copy one of the project's keys whole"


ENGINE = Engine(
    kind="supabase",
    title="Supabase",
    capabilities=frozenset({Capability.FENCES, Capability.RECORDS}),
    options=(
        Option(
            "url",
            "SUPABASE_URL",
            secret=False,
            schemes=("https", "http"),
            outside=Outside(https),
        ),
        Option("key", "SUPABASE_KEY", problem=_problem),
        Option(
            "database_url",
            "SUPABASE_DATABASE_URL",
            required=False,  # for migrations only; without it they are run by hand
            schemes=SCHEMES,
            problem=problem,
            outside=OUTSIDE,
        ),
    ),
    open=_open,
)
