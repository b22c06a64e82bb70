"""MongoDB, over motor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nexpo_db_worker.capabilities import Capability
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Opened, Option
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.mongodb.address import OUTSIDE, SCHEMES, problem


@asynccontextmanager
async def _open(
    entry: DatabaseEntry, origin: Origin, migrations: Sequence[Migration]
) -> AsyncIterator[Opened]:
    from nexpo_db_worker.engines.mongodb.connection import Client
    from nexpo_db_worker.engines.mongodb.fences import MongoFences
    from nexpo_db_worker.engines.mongodb.records import MongoRecords

    async with Client.open(entry.options["url"], origin, migrations) as client:
        yield Opened(
            ping=client.ping,
            version=client.version,
            fences=lambda table: MongoFences(client, table),
            records=lambda table: MongoRecords(client, table),
        )


ENGINE = Engine(
    kind="mongodb",
    title="MongoDB",
    capabilities=frozenset({Capability.FENCES, Capability.RECORDS}),
    options=(Option("url", "MONGODB_URL", schemes=SCHEMES, problem=problem, outside=OUTSIDE),),
    open=_open,
)
