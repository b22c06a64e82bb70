"""PostgreSQL, over asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nexpo_db_worker.capabilities import Capability
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Opened, Option
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.postgres.address import OUTSIDE, SCHEMES, problem


@asynccontextmanager
async def _open(
    entry: DatabaseEntry, origin: Origin, migrations: Sequence[Migration]
) -> AsyncIterator[Opened]:
    from nexpo_db_worker.engines.postgres.connection import Pool
    from nexpo_db_worker.engines.postgres.fences import PostgresFences
    from nexpo_db_worker.engines.postgres.records import PostgresRecords

    async with Pool.open(entry.options["url"], origin, migrations) as pool:
        yield Opened(
            ping=pool.ping,
            version=pool.version,
            fences=lambda table: PostgresFences(pool, table),
            records=lambda table: PostgresRecords(pool, table),
        )


ENGINE = Engine(
    kind="postgres",
    title="PostgreSQL",
    capabilities=frozenset({Capability.FENCES, Capability.RECORDS}),
    options=(Option("url", "DATABASE_URL", schemes=SCHEMES, problem=problem, outside=OUTSIDE),),
    open=_open,
)
