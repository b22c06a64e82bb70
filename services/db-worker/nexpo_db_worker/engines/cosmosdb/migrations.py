"""The database and its containers: each migration once recorded, in order.

A migration is a JSON object: for each container its `unique` paths, its `indexed` paths, and
the `composite` index that its pages need. Every one may run twice, also at once from two
workers: creating a container that is there does nothing. Neither unique keys nor partition
keys can be changed afterwards, so a container that somebody else made without them is refused.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from nexpo_db_worker.engines.migrations import Migration, missing, running

LEDGER = "migrations"
# A container is made in seconds, not in the milliseconds of a read.
_SLOW_S = 60


class WrongContainerError(Exception):
    """A container is there, but with other keys or indexes."""


async def migrate(client: CosmosClient, name: str, migrations: Sequence[Migration]) -> list[str]:
    """Runs what the database has not recorded; returns the names.

    Args:
        client: Of the account.
        name: Of the database.
        migrations: In order.

    Raises:
        azure.core.exceptions.AzureError: The account refused one.
        WrongContainerError: A container is there, but with other keys.
    """
    database = client.get_database_client(name)
    # Looked up first, so that a key that may not create can work on what is there.
    applied = [step.name for step in migrations if await _is_applied(database, step.name)]
    new = missing(migrations, applied)
    if not new:
        return []
    with contextlib.suppress(CosmosResourceExistsError):
        await client.create_database(name, read_timeout=_SLOW_S)
    with contextlib.suppress(CosmosResourceExistsError):
        await database.create_container(LEDGER, PartitionKey("/id"), read_timeout=_SLOW_S)
    ledger = database.get_container_client(LEDGER)
    for step in new:
        with running(step):
            for container, declared in json.loads(step.text).items():
                await _create(database, container, declared)
        await ledger.upsert_item({"id": step.name, "applied_time": datetime.now(UTC).isoformat()})
    return [step.name for step in new]


async def _is_applied(database: DatabaseProxy, step: str) -> bool:
    try:
        await database.get_container_client(LEDGER).read_item(step, partition_key=step)
    except CosmosResourceNotFoundError:
        return False
    return True


async def _create(database: DatabaseProxy, name: str, declared: Mapping[str, list[str]]) -> None:
    policy = {"uniqueKeys": [{"paths": [path]} for path in declared["unique"]]}
    indexing: dict[str, Any] = {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": f"{path}/?"} for path in declared["indexed"]],
        "excludedPaths": [{"path": "/*"}],
    }
    if composite := declared.get("composite"):
        keys = [{"path": path, "order": "ascending"} for path in composite]
        indexing["compositeIndexes"] = [keys]
    try:
        await database.create_container(
            name,
            PartitionKey("/tenant"),
            unique_key_policy=policy,  # type: ignore[arg-type]  # annotated too narrowly
            indexing_policy=indexing,
            read_timeout=_SLOW_S,
        )
    except CosmosResourceExistsError:
        await _check(database, name, declared["unique"], composite or [])


async def _check(
    database: DatabaseProxy, name: str, unique: Sequence[str], composite: Sequence[str]
) -> None:
    found = await database.get_container_client(name).read()
    keys = found.get("uniqueKeyPolicy", {}).get("uniqueKeys", [])
    paths = sorted(path for key in keys for path in key["paths"])
    indexes = [
        [part["path"] for part in index]
        for index in found.get("indexingPolicy", {}).get("compositeIndexes", [])
    ]
    if (
        found["partitionKey"]["paths"] != ["/tenant"]
        or paths != sorted(unique)
        or (composite and list(composite) not in indexes)
    ):
        raise WrongContainerError(f"The container {name} is there, made by somebody else.")
