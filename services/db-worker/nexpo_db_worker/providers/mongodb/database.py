"""A MongoDB database that may be away now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
)
from pymongo.read_concern import ReadConcern

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.providers.mongodb.migrations import Documents, migrate
from nexpo_db_worker.providers.preparation import Preparation

# All of it together stays under the 10 s that an attempt of an activity may take.
_SELECT_MS = 3000
_COMMAND_MS = 5000
_WHOLE_S = 7.0

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_DENIED = {13, 18, 8000}  # Unauthorized, AuthenticationFailed, AtlasError
_THROTTLED = {202, 16500, 462}  # NetworkInterfaceExceededTimeLimit's pool, too many requests
_UNAVAILABLE = {
    *(50, 262),  # time limits
    *(24, 112),  # LockTimeout, WriteConflict
    *(64, 100),  # write concern: not written everywhere (yet)
    *(91, 189, 10107, 11600, 11602, 13435, 13436),  # stepping down, shutting down
    *(6, 7, 89, 9001),  # hosts that cannot be reached
    14031,  # OutOfDiskSpace
}

_log = logging.getLogger(__name__)


class Database:
    """A client that makes the indexes before its first use.

    Opening it connects nothing: a database that is away is met at the first call.
    """

    def __init__(self, client: AsyncIOMotorClient[dict[str, Any]], name: str) -> None:
        self._documents: Documents = client.get_database(
            name,
            # What is acknowledged survives the primary; what is read is the primary's.
            write_concern=WriteConcern("majority", j=True, wtimeout=_COMMAND_MS - 1000),
            read_concern=ReadConcern("local"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._prepared = Preparation(self._migrate)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Opens the client; closes it at the end.

        Args:
            url: "mongodb://user:password@host:port/database"; the database is
                "nexpo" when the URL names none.
        """
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            url,
            appname="nexpo-db-worker",
            serverSelectionTimeoutMS=_SELECT_MS,
            connectTimeoutMS=_SELECT_MS,
            timeoutMS=_COMMAND_MS,
            tz_aware=True,
        )
        try:
            yield cls(client, client.get_default_database("nexpo").name)
        finally:
            await asyncio.to_thread(client.close)  # says goodbye to the server, blocking

    @asynccontextmanager
    async def documents(self) -> AsyncIterator[Documents]:
        """The database, with its indexes.

        Raises:
            Fault: STORE_UNAVAILABLE, STORE_THROTTLED, STORE_DENIED, STORE_REFUSED.
            DuplicateKeyError: A unique index refused; for the caller to judge.
        """
        try:
            async with asyncio.timeout(_WHOLE_S):
                await self._prepared()
                yield self._documents
        except DuplicateKeyError:
            raise
        except (PyMongoError, BSONError, TimeoutError) as error:
            raise store_fault(Store.STORE_MONGODB, _reason(error), error) from None

    async def _migrate(self) -> None:
        for name in await migrate(self._documents):
            _log.info("MongoDB: applied migration %s", name)


def _reason(error: Exception) -> Reason.ValueType:
    match error:
        case WaitQueueTimeoutError():
            return Reason.REASON_STORE_THROTTLED
        case ConnectionFailure() | TimeoutError() | PyMongoError(timeout=True):
            return Reason.REASON_STORE_UNAVAILABLE
        case OperationFailure(code=code):
            if code in _DENIED:
                return Reason.REASON_STORE_DENIED
            if code in _THROTTLED:
                return Reason.REASON_STORE_THROTTLED
            if code in _UNAVAILABLE or error.has_error_label("RetryableWriteError"):
                return Reason.REASON_STORE_UNAVAILABLE
    return Reason.REASON_STORE_REFUSED
