"""What Cosmos DB's statuses mean for the catalogue.

Which of them pass by themselves: "HTTP status codes for Azure Cosmos DB", Learn.
"""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from azure.core.exceptions import AzureError
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.cosmos.http_constants import SubStatusCodes

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.cosmosdb.migrations import WrongContainerError
from nexpo_runtime.errors import Fault

_UNAVAILABLE = {408, 410, 449}
_UNAVAILABLE_SUB = {
    (403, SubStatusCodes.WRITE_FORBIDDEN),  # the region that writes is changing
    (403, SubStatusCodes.DATABASE_ACCOUNT_NOT_FOUND),
    (404, SubStatusCodes.READ_SESSION_NOTAVAILABLE),  # the replica is behind
    (404, SubStatusCodes.CONTAINER_CREATE_IN_PROGRESS),
}


@asynccontextmanager
async def faults(origin: Origin) -> AsyncIterator[None]:
    """Turns what the SDK raises in the block into faults of the database."""
    try:
        yield
    except CosmosHttpResponseError as error:
        raise _fault_of(origin, error) from None
    except WrongContainerError as error:
        raise origin.fault(Reason.REASON_STORE_REFUSED, error) from None
    except binascii.Error as error:  # the key is not base64
        raise origin.fault(Reason.REASON_STORE_DENIED, error) from None
    except (AzureError, OSError, TimeoutError) as error:
        raise origin.fault(Reason.REASON_STORE_UNAVAILABLE, error) from None


def _fault_of(origin: Origin, error: CosmosHttpResponseError) -> Fault:
    fault = origin.fault(_reason_of(error), error)
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
