"""PostgreSQL's own promises: migrated once, its errors mapped, its locks and plans outlived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from calls import new_key, reason_of, recovered
from user_records import new_record

from nexpo_db_worker.databases.opened import open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.postgres import migrations
from nexpo_db_worker.users.users import Users


@asynccontextmanager
async def users_in(url: str) -> AsyncIterator[Users]:
    entry = DatabaseEntry("postgres", "postgres", {"url": url})
    async with open_database(entry) as database:
        yield Users.over(database)


async def ping(url: str) -> None:
    async with open_database(DatabaseEntry("postgres", "postgres", {"url": url})) as database:
        await database.ping()


async def test_workers_that_start_at_once_migrate_an_empty_database_once(
    empty_database: str,
) -> None:
    async with AsyncExitStack() as stack:
        entry = DatabaseEntry("postgres", "postgres", {"url": empty_database})
        databases = [await stack.enter_async_context(open_database(entry)) for _ in range(6)]
        await asyncio.gather(*(database.ping() for database in databases))
        connection = await asyncpg.connect(empty_database)
        names = await connection.fetch("SELECT name FROM nexpo_migrations")
        await connection.close()
        assert [row["name"] for row in names] == ["0001_users.sql"]


async def test_migrations_are_made_in_order_and_all_or_none(empty_database: str) -> None:
    entry = DatabaseEntry("postgres", "postgres", {"url": empty_database})
    good = [
        Migration("0001_samples.sql", "CREATE TABLE nexpo_samples ()"),
        Migration("0002_names.sql", "ALTER TABLE nexpo_samples ADD COLUMN name text"),
    ]
    broken = Migration("0003_broken.sql", "ALTER TABLE nexpo_nowhere ADD COLUMN name text")
    async with open_database(entry, [*good, broken]) as database:
        assert await reason_of(database.ping()) == "STORE_REFUSED"
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT to_regclass('nexpo_samples')") is None
    async with open_database(entry, good) as database:
        await database.ping()
    names = await connection.fetch("SELECT name FROM nexpo_migrations ORDER BY name")
    await connection.close()
    assert [row["name"] for row in names] == [step.name for step in good]


async def test_a_migration_that_takes_longer_than_a_call_is_done_in_the_end(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_WAIT_S", 2.0)
    entry = DatabaseEntry("postgres", "postgres", {"url": empty_database})
    steps = (Migration("0001_slow.sql", "SELECT pg_sleep(4)"),)
    async with open_database(entry, steps) as database:
        await recovered(database.ping)


async def test_a_role_without_rights_to_create_works_on_a_migrated_database(
    empty_database: str,
) -> None:
    await ping(empty_database)
    admin = await asyncpg.connect(empty_database)
    role = urlsplit(empty_database).path.removeprefix("/") + "_role"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    try:
        await admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON nexpo_users TO {role}")
        await admin.execute(f"GRANT SELECT ON nexpo_migrations TO {role}")
        parts = urlsplit(empty_database)
        url = urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.hostname}:{parts.port}"))
        async with users_in(url) as users:
            await users.create("t", new_key(), new_record())
            assert await reason_of(users.claims.claim("t", new_key(), "user:1")) == "STORE_DENIED"
        wrong = url.replace(":secret@", ":other@")
        assert await reason_of(ping(wrong)) == "STORE_DENIED"
    finally:
        await admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await admin.close()


async def test_a_trigger_that_refuses_ends_as_a_refusal_without_its_text(
    empty_database: str,
) -> None:
    await ping(empty_database)
    async with users_in(empty_database) as users:
        admin = await asyncpg.connect(empty_database)
        await admin.execute("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'secret reason %', NEW.email; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON nexpo_users FOR EACH ROW
            WHEN (NEW.removed_time IS NULL) EXECUTE FUNCTION refuse();
        """)
        await admin.close()
        key = new_key()
        with pytest.raises(Exception, match="STORE_REFUSED") as caught:
            await users.create("t", key, new_record())
        assert "secret" not in str(caught.value)
        await users.remove("t", key)
        assert await users.page("t", None, 10) == []


async def test_a_server_without_free_connections_throttles(empty_database: str) -> None:
    name = urlsplit(empty_database).path.removeprefix("/")
    await ping(empty_database)
    admin = await asyncpg.connect(empty_database)
    role = f"{name}_role"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
    try:
        parts = urlsplit(empty_database)
        url = urlunsplit(parts._replace(netloc=f"{role}:x@{parts.hostname}:{parts.port}"))
        assert await reason_of(ping(url)) == "STORE_THROTTLED"
    finally:
        await admin.execute(f"DROP ROLE {role}")
        await admin.close()


async def test_a_write_that_waits_for_a_lock_gives_up_in_time(empty_database: str) -> None:
    await ping(empty_database)
    async with users_in(empty_database) as users:
        other = await asyncpg.connect(empty_database)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("LOCK TABLE nexpo_users IN ACCESS EXCLUSIVE MODE")
        key, record = new_key(), new_record()
        async with asyncio.timeout(30):
            assert await reason_of(users.create("t", key, record)) == "STORE_UNAVAILABLE"
        await transaction.rollback()
        await other.close()
        assert (await users.create("t", key, record)).record == record
        assert len(await users.page("t", None, 10)) == 1


async def test_a_table_that_another_version_changes_needs_no_restart(empty_database: str) -> None:
    # Statements are prepared by connection, and their plans end with the types of their columns.
    async with users_in(empty_database) as users:
        key, record = new_key(), new_record()
        created = await users.create("t", key, record)
        for change in (
            "ALTER TABLE nexpo_users ALTER COLUMN display_name TYPE varchar(500)",
            "ALTER TABLE nexpo_users ADD COLUMN later text NOT NULL DEFAULT ''",
            "ALTER TABLE nexpo_claims ALTER COLUMN resource TYPE varchar(500)",
        ):
            await users.claims.claim("t", key, "r")
            administrator = await asyncpg.connect(empty_database)
            try:
                await administrator.execute(change)
            finally:
                await administrator.close()
            assert await users.create("t", key, record) == created
            assert await users.get("t", record.user.user_id) == created
            assert await users.page("t", None, 10) == [created]
            assert await users.claims.claim("t", key, "r")
