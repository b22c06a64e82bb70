"""Azure Cosmos DB (API for NoSQL), over azure-cosmos.

An account with more than one replica to read from should have Strong or Bounded
Staleness consistency: at Session, a worker may for some milliseconds not find a row
that another worker has just created. No write depends on it: those are decided by
unique keys and etags, which the service checks where it writes.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nexpo_db_worker.capabilities import Capability
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Opened, Option
from nexpo_db_worker.engines.migrations import Migration
from nexpo_runtime.transport import Outside, https


@asynccontextmanager
async def _open(
    entry: DatabaseEntry, origin: Origin, migrations: Sequence[Migration]
) -> AsyncIterator[Opened]:
    from nexpo_db_worker.engines.cosmosdb.connection import Account
    from nexpo_db_worker.engines.cosmosdb.fences import CosmosFences
    from nexpo_db_worker.engines.cosmosdb.records import CosmosRecords

    url, key = entry.options["url"], entry.options["key"]
    database = entry.options.get("database", "nexpo")
    async with Account.open(url, key, database, origin, migrations) as account:
        yield Opened(
            ping=account.ping,
            version=account.version,
            fences=lambda table: CosmosFences(account, table),
            records=lambda table: CosmosRecords(account, table),
        )


def _problem(key: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except ValueError:
        return "not base64; copy one of the account's keys whole"
    return ""


ENGINE = Engine(
    kind="cosmosdb",
    title="Cosmos DB",
    capabilities=frozenset({Capability.FENCES, Capability.RECORDS}),
    options=(
        Option(
            "url",
            "COSMOSDB_URL",
            secret=False,
            schemes=("https", "http"),
            outside=Outside(https),
        ),
        Option("key", "COSMOSDB_KEY", problem=_problem),
        Option("database", "", required=False, secret=False),  # its name; made when missing
    ),
    open=_open,
)
