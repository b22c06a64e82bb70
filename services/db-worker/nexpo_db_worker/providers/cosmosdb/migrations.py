"""The database and its containers, by named steps that are recorded when done.

Every step may run twice, also at once from two workers: creating a container that is
there does nothing. Neither unique keys nor partition keys can be changed afterwards,
so a container that somebody else made without them is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker.providers.faults import store_fault

_LEDGER = "migrations"
# A container is made in seconds, not in the milliseconds of a read.
_SLOW_S = 60
_PAGE_ORDER = ("/create_time", "/user_id")


class WrongContainerError(Exception):
    """A container is there, but with other keys or indexes."""


async def _users(database: DatabaseProxy) -> None:
    await _create(
        database,
        "users",
        unique=("/email", "/user_id"),
        indexed=("/email", "/user_id", "/create_time", "/removed_time"),
        composite=_PAGE_ORDER,
    )
    await _create(database, "claims", unique=("/resource",), indexed=("/resource", "/removed_time"))


STEPS: Mapping[str, Callable[[DatabaseProxy], Awaitable[None]]] = {"0001_users": _users}


async def migrate(client: CosmosClient, name: str) -> list[str]:
    """Runs the steps that the database has not recorded; returns their names.

    Args:
        client: Of the account.
        name: Of the database.

    Raises:
        azure.core.exceptions.AzureError: The account refused one.
        Fault: STORE_REFUSED: a container is there, but with other keys.
    """
    database = client.get_database_client(name)
    # Looked up first, so that a key that may not create can work on what is there.
    new = [step for step in STEPS if not await _is_applied(database, step)]
    if not new:
        return []
    with contextlib.suppress(CosmosResourceExistsError):
        await client.create_database(name, read_timeout=_SLOW_S)
    with contextlib.suppress(CosmosResourceExistsError):
        await database.create_container(_LEDGER, PartitionKey("/id"), read_timeout=_SLOW_S)
    ledger = database.get_container_client(_LEDGER)
    for step in new:
        await STEPS[step](database)
        await ledger.upsert_item({"id": step, "applied_time": datetime.now(UTC).isoformat()})
    return new


async def _is_applied(database: DatabaseProxy, step: str) -> bool:
    try:
        await database.get_container_client(_LEDGER).read_item(step, partition_key=step)
    except CosmosResourceNotFoundError:
        return False
    return True


async def _create(
    database: DatabaseProxy,
    name: str,
    *,
    unique: Sequence[str],
    indexed: Sequence[str],
    composite: Sequence[str] = (),
) -> None:
    policy = {"uniqueKeys": [{"paths": [path]} for path in unique]}
    indexing: dict[str, Any] = {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": f"{path}/?"} for path in indexed],
        "excludedPaths": [{"path": "/*"}],
    }
    if composite:
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
        await _check(database, name, unique, composite)


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
        error = WrongContainerError(f"The container {name} is there, made by somebody else.")
        raise store_fault(Store.STORE_COSMOSDB, Reason.REASON_STORE_REFUSED, error)
