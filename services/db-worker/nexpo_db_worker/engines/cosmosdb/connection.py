"""A Cosmos DB account that may be away now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.documents import ConnectionPolicy

from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.cosmosdb.errors import faults
from nexpo_db_worker.engines.cosmosdb.migrations import LEDGER, migrate
from nexpo_db_worker.engines.cosmosdb.queries import item
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.preparation import Preparation

# All of it together stays under the 10 s that an attempt of an activity may take.
_CONNECT_S = 3
_READ_S = 4
_WHOLE_S = 7.0

_log = logging.getLogger(__name__)
# At INFO the SDK writes thirty lines a request.
_sdk_log = logging.getLogger(f"{__name__}.sdk")
_sdk_log.setLevel(logging.WARNING)


class Account:
    """A client that makes database and containers before its first use.

    Opening it connects nothing: an account that is away is met at the first call.
    """

    def __init__(
        self, client: CosmosClient, database: str, origin: Origin, migrations: Sequence[Migration]
    ) -> None:
        self.origin = origin
        self._migrations = migrations
        self._client = client
        self._name = database
        self._database = client.get_database_client(database)
        self._connected = Preparation(self._connect)
        self._prepared = Preparation(self._migrate)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        key: str,
        database: str,
        origin: Origin,
        migrations: Sequence[Migration],
    ) -> AsyncIterator[Self]:
        """Opens the client; closes it at the end.

        Args:
            url: The account's end point.
            key: One of its keys, in base64.
            database: Name of the database.
            origin: Whose faults it raises.
            migrations: What the database must have seen, in order.
        """
        client = CosmosClient(
            url,
            key,
            connection_policy=_policy(),
            retry_total=0,
            retry_connect=0,
            retry_read=0,
            retry_status=0,
            logger=_sdk_log,
        )
        try:
            yield cls(client, database, origin, migrations)
        finally:
            await client.close()

    @asynccontextmanager
    async def container(self, table: Table) -> AsyncIterator[ContainerProxy]:
        """A table's container, made and ready.

        Raises:
            Fault: STORE_UNAVAILABLE, STORE_THROTTLED, STORE_DENIED, STORE_REFUSED.
        """
        async with self._container(table.name) as container:
            yield container

    async def ping(self) -> None:
        """Answers when the account does. Raises: Fault: As container."""
        async with self._container(LEDGER) as ledger:
            # A read of nothing: reading the container itself is rationed by the service.
            await item(ledger, "ping", "ping")

    async def version(self) -> str:
        """Nothing: the service tells none."""
        return ""

    @asynccontextmanager
    async def _container(self, name: str) -> AsyncIterator[ContainerProxy]:
        async with faults(self.origin), asyncio.timeout(_WHOLE_S):
            await self._connected()
            await self._prepared()
            yield self._database.get_container_client(name)

    async def _connect(self) -> None:
        # Reads the account's properties: the SDK keeps session tokens only after that.
        async with asyncio.timeout(_WHOLE_S):
            await self._client.__aenter__()

    async def _migrate(self) -> None:
        for name in await migrate(self._client, self._name, self._migrations):
            _log.info("%s: applied migration %s", self.origin.title, name)


def _policy() -> ConnectionPolicy:
    policy = ConnectionPolicy()
    policy.RequestTimeout = _CONNECT_S
    policy.ReadTimeout = _READ_S
    # The global end point follows the region that writes. With discovery the SDK would
    # try other regions by itself, within one call, for longer than the call may take.
    policy.EnableEndpointDiscovery = False
    # Temporal retries. As keyword arguments of the client a 0 would be read as "not given".
    policy.RetryOptions._max_retry_attempt_count = 0
    return policy
