"""SQL Server, over python-tds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nexpo_db_worker.capabilities import Capability
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Opened, Option
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.sqlserver.target import OUTSIDE, SCHEMES, Target, problem


@asynccontextmanager
async def _open(
    entry: DatabaseEntry, origin: Origin, migrations: Sequence[Migration]
) -> AsyncIterator[Opened]:
    from nexpo_db_worker.engines.sqlserver.fences import SqlServerFences
    from nexpo_db_worker.engines.sqlserver.pool import Pool
    from nexpo_db_worker.engines.sqlserver.records import SqlServerRecords

    async with Pool.open(Target.parse(entry.options["url"]), origin, migrations) as pool:
        yield Opened(
            ping=pool.ping,
            version=pool.version,
            fences=lambda table: SqlServerFences(pool, table),
            records=lambda table: SqlServerRecords(pool, table),
        )


ENGINE = Engine(
    kind="sqlserver",
    title="SQL Server",
    capabilities=frozenset({Capability.FENCES, Capability.RECORDS}),
    options=(Option("url", "SQLSERVER_URL", schemes=SCHEMES, problem=problem, outside=OUTSIDE),),
    open=_open,
)
