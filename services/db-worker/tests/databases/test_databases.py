"""DatabaseService: what there is, whether it answers, what it can do and why it is off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from calls import new_key, reason_of
from structlog.testing import capture_logs
from user_records import new_record

from nexpo.databases.v1.databases_pb2 import (
    Database,
    GetDatabaseRequest,
    ListDatabasesRequest,
)
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.databases.configured import Configured
from nexpo_db_worker.databases.opened import Database as Opened
from nexpo_db_worker.databases.opened import Databases, open_databases
from nexpo_db_worker.databases.reads import DatabaseReads
from nexpo_db_worker.engines import ENGINES
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.engine import Opened as Offer
from nexpo_db_worker.users.users import UserDatabases
from nexpo_dev.fault_proxy import FaultProxy


def postgres(database: str, url: str) -> Configured:
    return Configured("postgres", DatabaseEntry(database, "postgres", {"url": url}))


@pytest.fixture
async def proxy(mongodb_url: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy.before(mongodb_url) as proxy:
        yield proxy


@pytest.fixture
async def databases(
    postgres_url: str, empty_database: str, mongodb_url: str, proxy: FaultProxy
) -> AsyncIterator[Databases]:
    """Two of one kind, one behind a proxy, one that is off."""
    configured = {
        "us": postgres("us", empty_database),
        "eu": postgres("eu", postgres_url),
        "docs": Configured(
            "mongodb", DatabaseEntry("docs", "mongodb", {"url": proxy.through(mongodb_url)})
        ),
        "archive": Configured("cosmosdb", off="databases.archive.enabled is false"),
    }
    async with AsyncExitStack() as stack:
        yield await open_databases(configured, "eu", stack)


@pytest.fixture
def reads(databases: Databases) -> DatabaseReads:
    return DatabaseReads(databases)


async def test_all_are_listed_by_name_as_they_answer(reads: DatabaseReads) -> None:
    archive, docs, eu, us = (await reads.list_databases(ListDatabasesRequest())).databases

    assert archive == Database(
        name="databases/archive",
        kind="cosmosdb",
        state=Database.OFF,
        reason="STORE_DISABLED",
        message="databases.archive.enabled is false",
    )
    for one, kind in ((docs, "mongodb"), (eu, "postgres"), (us, "postgres")):
        assert (one.kind, one.state, one.reason) == (kind, Database.READY, "")
        assert list(one.capabilities) == ["fences", "records"]
        assert one.version[0].isdigit()
        assert 0 < one.latency.ToTimedelta().total_seconds() < 10
    assert [one.name for one in (docs, eu, us)] == [
        "databases/docs",
        "databases/eu",
        "databases/us",
    ]
    assert [one.authority for one in (archive, docs, eu, us)] == [False, False, True, False]


async def test_one_that_does_not_answer_costs_only_its_own_state(
    reads: DatabaseReads, proxy: FaultProxy
) -> None:
    proxy.cut()

    _, docs, eu, _ = (await reads.list_databases(ListDatabasesRequest())).databases

    assert (docs.state, docs.reason) == (Database.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert docs.message
    assert not docs.HasField("latency")
    assert not docs.version
    assert eu.state == Database.READY
    proxy.heal()


async def test_one_whose_driver_fails_in_a_way_of_its_own_costs_only_its_own_state(
    postgres_url: str,
) -> None:
    # Settings refuse the port; the driver raises an OverflowError.
    odd = postgres("odd", "postgresql://u:p@127.0.0.1:99999/db")
    async with AsyncExitStack() as stack:
        both = {"eu": postgres("eu", postgres_url), "odd": odd}
        reads = DatabaseReads(await open_databases(both, "eu", stack))
        with capture_logs() as logged:
            eu, other = (await reads.list_databases(ListDatabasesRequest())).databases

    assert eu.state == Database.READY
    assert [line["database"] for line in logged if line["log_level"] == "error"] == ["odd"]
    assert (other.state, other.reason) == (Database.UNAVAILABLE, "INTERNAL")


async def test_one_that_is_silent_is_given_up_in_time(
    reads: DatabaseReads, proxy: FaultProxy
) -> None:
    proxy.silence()

    answer = await reads.get_database(GetDatabaseRequest(name="databases/docs"))

    assert answer.database.state == Database.UNAVAILABLE
    assert answer.database.reason == "STORE_UNAVAILABLE"
    assert answer.database.message == "MongoDB (docs) does not answer in time."


async def test_one_that_breaks_off_while_it_is_asked_has_no_latency() -> None:
    origin = Origin("eu", "Bare")

    async def pong() -> None:
        """Answers."""

    async def away() -> str:
        raise origin.fault(Reason.REASON_STORE_UNAVAILABLE)

    broken = Opened(origin, ENGINES["postgres"], Offer(ping=pong, version=away), ())
    configured = {"eu": Configured("postgres", DatabaseEntry("eu", "postgres", {}))}
    reads = DatabaseReads(Databases({"eu": broken}, "eu", configured))

    [eu] = (await reads.list_databases(ListDatabasesRequest())).databases

    assert (eu.state, eu.reason) == (Database.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert not eu.HasField("latency")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("databases/mars", "DATABASE_NOT_FOUND"),
        ("mars", "INVALID_ARGUMENT"),
        ("databases/Mars", "INVALID_ARGUMENT"),
        ("", "INVALID_ARGUMENT"),
    ],
)
async def test_what_there_is_not_is_told(reads: DatabaseReads, name: str, reason: str) -> None:
    assert await reason_of(reads.get_database(GetDatabaseRequest(name=name))) == reason


async def test_two_databases_of_one_kind_hold_users_apart(
    databases: Databases, tenant: str
) -> None:
    users = UserDatabases.over(databases)
    record = new_record()
    await users.get("databases/us").create(tenant, new_key(), record)

    assert (await users.get("databases/us").get(tenant, record.user.user_id)).record == record
    gone = users.get("databases/eu").get(tenant, record.user.user_id)
    assert await reason_of(gone) == "USER_NOT_FOUND"
    assert users.authority.database == "databases/eu"
