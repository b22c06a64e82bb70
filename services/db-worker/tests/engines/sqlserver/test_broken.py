"""A SQL Server that is away, refuses, dies, or is slow: nothing is lost, doubled or told."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
from calls import new_key, outcomes, reason_of, recovered
from samples import sample_migrations
from user_records import live, new_record

from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.claims import Claims
from nexpo_db_worker.databases.opened import Database, open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.migrations import Migration, migrations_of
from nexpo_db_worker.engines.sqlserver import connection as connections
from nexpo_db_worker.engines.sqlserver.fences import SqlServerFences
from nexpo_db_worker.engines.sqlserver.pool import Pool
from nexpo_db_worker.engines.sqlserver.records import SqlServerRecords
from nexpo_db_worker.engines.sqlserver.target import Target
from nexpo_db_worker.users.table import CLAIMS, USERS
from nexpo_db_worker.users.users import Users
from nexpo_dev import ports
from nexpo_dev.servers.stand_ins import SqlServer
from nexpo_runtime.errors import Fault

PATIENCE_S = 10.0  # what an attempt of an activity may take
SECRETS = ("hunter2", "ada@example.com")


def opened(url: str) -> AbstractAsyncContextManager[Database]:
    return open_database(DatabaseEntry("sqlserver", "sqlserver", {"url": url}))


@asynccontextmanager
async def users_in(url: str, size: int = 8) -> AsyncIterator[Users]:
    """Users over a pool of so many connections."""
    origin, steps = Origin("sqlserver", "SQL Server"), migrations_of("sqlserver")
    async with Pool.open(Target.parse(url), origin, steps, size) as pool:
        await pool.ping()
        claims = Claims(SqlServerFences(pool, CLAIMS))
        yield Users(origin, SqlServerFences(pool, USERS), SqlServerRecords(pool, USERS), claims)


@asynccontextmanager
async def behind(server: SqlServer) -> AsyncIterator[asyncpg.Connection]:
    """The PostgreSQL behind the stand-in."""
    connection = await asyncpg.connect(server.postgres.url)
    try:
        yield connection
    finally:
        await connection.close()


async def sessions(postgres: asyncpg.Connection) -> int:
    """How many sessions the stand-in has."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nexpo-sqlserver'"
    return int(await postgres.fetchval(query))


async def blocked(postgres: asyncpg.Connection, count: int) -> None:
    """Waits until so many sessions wait for a lock."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + 90
    while await postgres.fetchval(query) < count:
        assert time.monotonic() < deadline, "nothing waits for the lock"
        await asyncio.sleep(0.02)


async def test_workers_that_start_at_once_migrate_an_empty_database_once(own: SqlServer) -> None:
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(opened(own.url)) for _ in range(6)]
        await asyncio.gather(*(database.ping() for database in databases))
        async with behind(own) as postgres:
            rows = await postgres.fetch("SELECT name FROM dbo.nexpo_migrations")
            assert [row["name"] for row in rows] == ["0001_users.sql"]
    async with users_in(own.url) as again:
        await again.create("t", new_key(), new_record())


@pytest.mark.parametrize(
    "url",
    [
        "mssql://user:hunter2@host:1433",
        "mssql://host:1433/db",
        "postgres://user:hunter2@host/db",
        "mssql://user:hunter2@host/db?encrypt=perhaps",
        "mssql://user:hunter2@host/db?encrypted=yes",
        "mssql://user:hunter2@host/db?encrypt=yes&Encrypt=no",
        "mssql://user:hunter2@host/db?encrypt=strict&TrustServerCertificate=yes",
        "mssql://user:hunter2@host/db?TrustServerCertificate=1",
        "mssql://user:hunter2@host/db?Certificate=/ca.pem&TrustServerCertificate=yes",
        "mssql://user:hunter2@host:port/db",
        "mssql://user:hunter2@host/db;Encrypt=strict",
        "mssql://user:hunter@2@host/db",
        "mssql://user:hunter/2@host:1433/db",
        "",
    ],
)
async def test_a_malformed_address_is_told_at_once_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="mssql://user:password@host") as caught:
        async with opened(url):
            pass
    assert "hunter2" not in str(caught.value)


async def test_a_wrong_password_and_a_wrong_database_are_denied(
    own: SqlServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for url in (own.url.replace(own.password, "hunter2"), own.url.replace("/nexpo?", "/other?")):
        async with opened(url) as database:
            began = time.monotonic()
            with pytest.raises(Fault, match="STORE_DENIED") as caught:
                await database.ping()
            assert time.monotonic() - began < PATIENCE_S
            assert "Login failed" not in str(caught.value)
    assert "hunter2" not in caplog.text


async def test_a_server_that_is_away_at_the_start_is_met_when_it_comes(own: SqlServer) -> None:
    await own.kill()
    async with opened(own.url) as database:
        began = time.monotonic()
        assert await reason_of(database.ping()) == "STORE_UNAVAILABLE"
        assert time.monotonic() - began < PATIENCE_S, "a refused connection is known at once"
        await own.start()
        users = Users.over(database)
        created = await users.create("t", new_key(), new_record())
        assert await live(users, "t") == [created]


async def test_what_the_server_refuses_becomes_a_reason_without_its_text(own: SqlServer) -> None:
    async with users_in(own.url) as users, behind(own) as postgres:
        for raised, reason, delay in (
            ("RAISE EXCEPTION 'hunter2 %', NEW.email", "STORE_REFUSED", None),
            (
                "RAISE EXCEPTION 'hunter2' USING ERRCODE = 'check_violation'",
                "STORE_REFUSED",
                None,
            ),
            (
                "RAISE EXCEPTION 'hunter2' USING HINT = 'error 40501'",
                "STORE_THROTTLED",
                timedelta(seconds=10),
            ),
            ("RAISE EXCEPTION 'hunter2' USING HINT = 'error 1205'", "STORE_UNAVAILABLE", None),
            ("RAISE EXCEPTION 'hunter2' USING HINT = 'error 40613'", "STORE_UNAVAILABLE", None),
            ("RAISE EXCEPTION 'hunter2' USING HINT = 'error 229'", "STORE_DENIED", None),
        ):
            await postgres.execute(f"""
                CREATE OR REPLACE FUNCTION dbo.refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN {raised}; END $$;
                CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON dbo.nexpo_users FOR EACH ROW
                WHEN (NEW.tombstone = 0) EXECUTE FUNCTION dbo.refuse();
            """)
            key = new_key()
            with pytest.raises(Fault) as caught:
                await users.create("t", key, new_record("ada@example.com"))
            fault = caught.value
            assert (fault.name, fault.retry_after) == (reason, delay)
            assert not any(secret in str(fault.to_status()) for secret in SECRETS)
            await users.remove("t", key)
        assert await live(users, "t") == []


async def test_values_that_do_not_fit_are_refused_and_leave_nothing(own: SqlServer) -> None:
    async with users_in(own.url) as users:
        record = new_record()
        assert await reason_of(users.create("t", "k" * 701, record)) == "STORE_REFUSED"
        assert await reason_of(users.create("t" * 129, new_key(), record)) == "STORE_REFUSED"
        assert await reason_of(users.claims.claim("t", new_key(), "r" * 9000)) == "STORE_REFUSED"
        assert await live(users, "t") == []
        await users.create("t", "k" * 700, record)
        assert await reason_of(users.get("t", "u" * 9000)) == "USER_NOT_FOUND"


async def test_a_cancelled_call_hands_its_busy_connection_to_nobody(own: SqlServer) -> None:
    async with users_in(own.url, size=2) as users, behind(own) as postgres:
        key, other = new_key(), new_record()
        await users.create("t", key, new_record())
        await users.create("t", new_key(), other)
        async with behind(own) as holder:
            transaction = holder.transaction()
            await transaction.start()
            await holder.execute(
                "SELECT 1 FROM dbo.nexpo_users WHERE effect_key = $1 FOR UPDATE", key
            )
            call = asyncio.create_task(users.remove("t", key))
            await blocked(postgres, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            found = await asyncio.gather(*(users.get("t", other.user.user_id) for _ in range(10)))
            assert {each.record.user.user_id for each in found} == {other.user.user_id}
            assert await sessions(postgres) <= 2
            await transaction.rollback()
        assert await reason_of(users.remove("t", key)) == ""
        assert len(await live(users, "t")) == 1
        assert await sessions(postgres) <= 2


async def test_a_lock_that_stays_is_unavailable_in_time_and_the_pool_stays_small(
    own: SqlServer,
) -> None:
    async with users_in(own.url, size=3) as users, behind(own) as postgres:
        transaction = postgres.transaction()
        await transaction.start()
        await postgres.execute("LOCK TABLE dbo.nexpo_users IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        _, reasons = await outcomes([users.create("t", new_key(), new_record()) for _ in range(9)])
        assert reasons == ["STORE_UNAVAILABLE"] * 9
        assert time.monotonic() - began < PATIENCE_S
        await transaction.rollback()
        await users.create("t", new_key(), new_record())
        assert await sessions(postgres) <= 3


async def test_creations_interrupted_by_a_kill_are_whole_after_the_retry(own: SqlServer) -> None:
    async with users_in(own.url) as users:
        plan = [(new_key(), new_record()) for _ in range(60)]
        calls = [asyncio.create_task(users.create("t", *each)) for each in plan]
        # The others wait for a connection, however busy the machine is.
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        os.kill(own.pid, signal.SIGKILL)
        first = await asyncio.gather(*calls, return_exceptions=True)
        broken = [each for each in first if isinstance(each, BaseException)]
        assert broken, "the kill came too late"
        assert {str(each).partition(":")[0] for each in broken} == {"STORE_UNAVAILABLE"}
        await own.kill()
        await own.start()
        again = [await users.create("t", *each) for each in plan]
        for before, after in zip(first, again, strict=True):
            assert isinstance(before, BaseException) or before == after
        assert len(await live(users, "t")) == 60


async def test_a_postgresql_that_dies_under_it_is_met_again(own: SqlServer) -> None:
    async with opened(own.url) as database:
        users = Users.over(database)
        created = await users.create("t", new_key(), new_record())
        await own.postgres.kill()
        assert await reason_of(database.ping()) == "STORE_UNAVAILABLE"
        await own.postgres.start()
        assert await live(users, "t") == [created]


async def test_a_server_that_talks_nonsense_is_unavailable() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200)
        writer.close()

    port = ports.choose()
    url = f"mssql://u:hunter2@127.0.0.1:{port}/db"
    async with await asyncio.start_server(talk, "127.0.0.1", port), opened(url) as database:
        began = time.monotonic()
        assert await reason_of(database.ping()) == "STORE_UNAVAILABLE"
        assert time.monotonic() - began < PATIENCE_S


@asynccontextmanager
async def with_slow_step(own: SqlServer, seconds: float) -> AsyncIterator[Database]:
    """A database whose next migration takes so long."""
    steps = sample_migrations("sqlserver")
    entry = DatabaseEntry("sqlserver", "sqlserver", {"url": own.url})
    async with open_database(entry, steps) as database, behind(own) as postgres:
        await database.ping()
        await postgres.execute(f"""
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
            CREATE TRIGGER slow AFTER UPDATE ON dbo.nexpo_samples
            FOR EACH STATEMENT EXECUTE FUNCTION slow();
        """)
    slow = Migration("0009_slow.sql", "UPDATE dbo.nexpo_samples SET note = N'' WHERE 1 = 1")
    async with open_database(entry, (*steps, slow)) as database:
        yield database


async def test_a_migration_that_takes_longer_than_a_call_is_done_in_the_end(
    own: SqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "QUERY_S", 2.0)
    async with with_slow_step(own, 4.0) as database:
        await recovered(database.ping)


async def test_closing_does_not_wait_for_a_migration(own: SqlServer) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    async with behind(own) as postgres:
        async with with_slow_step(own, 120.0) as database:
            ping = asyncio.create_task(reason_of(database.ping()))
            deadline = time.monotonic() + 90
            while not await postgres.fetchval(query):
                assert time.monotonic() < deadline, "the migration does not run"
                await asyncio.sleep(0.02)
            began = time.monotonic()
        assert time.monotonic() - began < PATIENCE_S
        assert await ping == "STORE_UNAVAILABLE"


async def test_closing_waits_for_no_one_and_leaves_no_session(own: SqlServer) -> None:
    async with behind(own) as postgres:
        async with opened(own.url) as database:
            await asyncio.gather(*(database.ping() for _ in range(20)))
            assert 0 < await sessions(postgres) <= 8
        deadline = time.monotonic() + 90
        while await sessions(postgres):
            assert time.monotonic() < deadline, "sessions stay open"
            await asyncio.sleep(0.02)
        with pytest.raises(RuntimeError):
            await database.ping()
