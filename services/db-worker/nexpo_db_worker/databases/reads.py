"""The databases as they are now: all there are, or one."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from nexpo.databases.v1.databases_pb2 import (
    Database,
    GetDatabaseRequest,
    GetDatabaseResponse,
    ListDatabasesRequest,
    ListDatabasesResponse,
)
from nexpo.databases.v1.databases_service import DatabaseServiceReads
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.databases.configured import Configured
from nexpo_db_worker.databases.names import id_of
from nexpo_db_worker.databases.opened import Database as Opened
from nexpo_db_worker.databases.opened import Databases
from nexpo_runtime.errors import Fault, reason_name
from nexpo_runtime.failures import fault_from
from nexpo_runtime.telemetry import logs

_log = logs.get(__name__)

# Less than the call may take, so that one slow database does not cost the others' answers.
_ANSWER_S = 4.0


class DatabaseReads(DatabaseServiceReads):
    """Reads of databases, each asked at the moment of the call.

    Args:
        databases: Those that are configured.
    """

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def list_databases(self, request: ListDatabasesRequest) -> ListDatabasesResponse:
        """Every database, by name."""
        names = sorted(self._databases.configured)
        return ListDatabasesResponse(
            databases=await asyncio.gather(*(self._described(name) for name in names))
        )

    async def get_database(self, request: GetDatabaseRequest) -> GetDatabaseResponse:
        """One database. Raises: Fault: DATABASE_NOT_FOUND, INVALID_ARGUMENT."""
        database = id_of(request.name, "name")
        if database not in self._databases.configured:
            raise Fault(
                Reason.REASON_DATABASE_NOT_FOUND,
                "There is no such database.",
                metadata={"database": request.name},
            )
        return GetDatabaseResponse(database=await self._described(database))

    async def _described(self, database: str) -> Database:
        configured = self._databases.configured[database]
        answer = Database(
            name=f"databases/{database}",
            kind=configured.kind,
            authority=database == self._databases.authority,
        )
        opened = self._databases.all.get(database)
        if opened is None:
            return _off(answer, configured)
        answer.capabilities.extend(sorted(opened.capabilities))
        await _asked(answer, opened)
        return answer


def _off(answer: Database, configured: Configured) -> Database:
    answer.state = Database.OFF
    answer.reason = reason_name(Reason.REASON_STORE_DISABLED)
    answer.message = configured.off
    return answer


async def _asked(answer: Database, opened: Opened) -> None:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_ANSWER_S):
            await opened.ping()
            answer.latency.FromTimedelta(timedelta(seconds=time.perf_counter() - began))
            answer.state = Database.READY
            answer.version = await opened.version()
            return
    except Fault as fault:
        answer.reason, answer.message = fault.name, fault.message
    except TimeoutError:
        answer.reason = reason_name(Reason.REASON_STORE_UNAVAILABLE)
        answer.message = f"{opened.origin.title} does not answer in time."
    except Exception as error:  # it must not cost the others' answers either
        _log.error("a database cannot be described", database=opened.id, exc_info=error)
        meant = fault_from(error)
        answer.reason, answer.message = meant.name, meant.message
    answer.ClearField("latency")
    answer.state = Database.UNAVAILABLE
