"""A MongoDB database that may be away now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.mongodb.errors import reason_of
from nexpo_db_worker.engines.mongodb.migrations import Documents, migrate
from nexpo_db_worker.engines.preparation import Preparation

# All of it together stays under the 10 s that an attempt of an activity may take.
_SELECT_MS = 3000
_COMMAND_MS = 5000
_WHOLE_S = 7.0

_log = logging.getLogger(__name__)


class Client:
    """A client that makes the indexes before its first use.

    Opening it connects nothing: a database that is away is met at the first call.
    """

    def __init__(
        self,
        client: AsyncIOMotorClient[dict[str, Any]],
        name: str,
        origin: Origin,
        migrations: Sequence[Migration],
    ) -> None:
        self.origin = origin
        self._migrations = migrations
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
    async def open(
        cls, url: str, origin: Origin, migrations: Sequence[Migration]
    ) -> AsyncIterator[Self]:
        """Opens the client; closes it at the end.

        Args:
            url: "mongodb://user:password@host:port/database"; the database is
                "nexpo" when the URL names none.
            origin: Whose faults it raises.
            migrations: What the database must have seen, in order.
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
            yield cls(client, client.get_default_database("nexpo").name, origin, migrations)
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
            raise self.origin.fault(reason_of(error), error) from None

    async def ping(self) -> None:
        """Answers when the database does. Raises: Fault: As documents."""
        async with self.documents() as database:
            await database.command("ping")

    async def version(self) -> str:
        """The server's: "8.0.4". Raises: Fault: As documents."""
        async with self.documents() as database:
            return str((await database.command("buildInfo")).get("version", ""))

    async def _migrate(self) -> None:
        for name in await migrate(self._documents, self._migrations):
            _log.info("%s: applied migration %s", self.origin.title, name)
