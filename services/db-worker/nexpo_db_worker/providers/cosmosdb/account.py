"""A Cosmos DB account that may be away now and then."""

from __future__ import annotations

import asyncio
import binascii
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.documents import ConnectionPolicy
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.cosmos.http_constants import SubStatusCodes

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker.providers.cosmosdb.migrations import migrate
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.providers.preparation import Preparation
from nexpo_runtime.errors import Fault

# All of it together stays under the 10 s that an attempt of an activity may take.
_CONNECT_S = 3
_READ_S = 4
_WHOLE_S = 7.0

# Statuses that pass by themselves: "HTTP status codes for Azure Cosmos DB", Learn.
_UNAVAILABLE = {408, 410, 449}
_UNAVAILABLE_SUB = {
    (403, SubStatusCodes.WRITE_FORBIDDEN),  # the region that writes is changing
    (403, SubStatusCodes.DATABASE_ACCOUNT_NOT_FOUND),
    (404, SubStatusCodes.READ_SESSION_NOTAVAILABLE),  # the replica is behind
    (404, SubStatusCodes.CONTAINER_CREATE_IN_PROGRESS),
}

_log = logging.getLogger(__name__)
# At INFO the SDK writes thirty lines a request.
_sdk_log = logging.getLogger(f"{__name__}.sdk")
_sdk_log.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Containers:
    """Where users and claims live."""

    users: ContainerProxy
    claims: ContainerProxy


class Account:
    """A client that makes database and containers before its first use.

    Opening it connects nothing: an account that is away is met at the first call.
    """

    def __init__(self, client: CosmosClient, database: str) -> None:
        self._client = client
        self._name = database
        proxy = client.get_database_client(database)
        self._containers = Containers(
            proxy.get_container_client("users"), proxy.get_container_client("claims")
        )
        self._connected = Preparation(self._connect)
        self._prepared = Preparation(self._migrate)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, key: str, database: str) -> AsyncIterator[Self]:
        """Opens the client; closes it at the end.

        Args:
            url: The account's end point.
            key: One of its keys, in base64.
            database: Name of the database.
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
            yield cls(client, database)
        finally:
            await client.close()

    @asynccontextmanager
    async def containers(self) -> AsyncIterator[Containers]:
        """The containers, made and ready.

        Raises:
            Fault: STORE_UNAVAILABLE, STORE_THROTTLED, STORE_DENIED, STORE_REFUSED.
        """
        async with _faults(), asyncio.timeout(_WHOLE_S):
            await self._connected()
            await self._prepared()
            yield self._containers

    async def _connect(self) -> None:
        # Reads the account's properties: the SDK keeps session tokens only after that.
        async with asyncio.timeout(_WHOLE_S):
            await self._client.__aenter__()

    async def _migrate(self) -> None:
        for name in await migrate(self._client, self._name):
            _log.info("Cosmos DB: applied migration %s", name)


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


@asynccontextmanager
async def _faults() -> AsyncIterator[None]:
    try:
        yield
    except CosmosHttpResponseError as error:
        raise _fault_of(error) from None
    except binascii.Error as error:  # the key is not base64
        raise store_fault(Store.STORE_COSMOSDB, Reason.REASON_STORE_DENIED, error) from None
    except (AzureError, OSError, TimeoutError) as error:
        raise store_fault(Store.STORE_COSMOSDB, Reason.REASON_STORE_UNAVAILABLE, error) from None


def _fault_of(error: CosmosHttpResponseError) -> Fault:
    fault = store_fault(Store.STORE_COSMOSDB, _reason_of(error), error)
    if fault.reason == Reason.REASON_STORE_THROTTLED:
        fault.retry_after = _retry_after(error)
    return fault


def _reason_of(error: CosmosHttpResponseError) -> Reason.ValueType:
    status = error.status_code or 0
    if (status, error.sub_status) in _UNAVAILABLE_SUB or status in _UNAVAILABLE or status >= 500:
        return Reason.REASON_STORE_UNAVAILABLE
    if status == 429:
        return Reason.REASON_STORE_THROTTLED
    if status in (401, 403):
        return Reason.REASON_STORE_DENIED
    return Reason.REASON_STORE_REFUSED


def _retry_after(error: CosmosHttpResponseError) -> timedelta | None:
    try:
        return timedelta(milliseconds=float(error.headers["x-ms-retry-after-ms"]))
    except (KeyError, ValueError, OverflowError):
        return None
