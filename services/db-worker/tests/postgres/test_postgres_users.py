"""PostgreSQL keeps users as every store must, and its own promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tcp_proxy import TcpProxy
from user_store_contract import (
    Age,
    Distant,
    Dump,
    UserStoreContract,
    new_key,
    new_record,
    reason_of,
)

from nexpo_db_worker.providers.postgres.database import Database
from nexpo_db_worker.providers.postgres.users import PostgresUsers
from nexpo_db_worker.stores import UserStore


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[UserStore]:
    async with Database.open(postgres_url) as database:
        yield PostgresUsers(database)


@pytest.fixture
async def dump(postgres_url: str) -> Dump:
    async def everything(tenant: str) -> str:
        connection = await asyncpg.connect(postgres_url)
        try:
            users = await connection.fetch("SELECT * FROM nexpo_users WHERE tenant = $1", tenant)
            claims = await connection.fetch("SELECT * FROM nexpo_claims WHERE tenant = $1", tenant)
        finally:
            await connection.close()
        return f"{users} {claims}"

    return everything


@pytest.fixture
async def age(postgres_url: str) -> Age:
    async def eight_days(tenant: str) -> None:
        connection = await asyncpg.connect(postgres_url)
        try:
            for table in ("nexpo_users", "nexpo_claims"):
                await connection.execute(
                    f"UPDATE {table} SET removed_time = now() - interval '8 days'"
                    " WHERE tenant = $1 AND removed_time IS NOT NULL",
                    tenant,
                )
        finally:
            await connection.close()

    return eight_days


@pytest.fixture
async def distant(postgres_url: str) -> AsyncIterator[Distant]:
    async with (
        TcpProxy.before(postgres_url) as proxy,
        Database.open(proxy.through(postgres_url)) as database,
    ):
        yield Distant(PostgresUsers(database), proxy)


class TestPostgresUsers(UserStoreContract):
    """The contract of every store."""


async def test_workers_that_start_at_once_migrate_an_empty_database_once(
    empty_database: str,
) -> None:
    async with AsyncExitStack() as stack:
        stores = [
            PostgresUsers(await stack.enter_async_context(Database.open(empty_database)))
            for _ in range(6)
        ]
        await asyncio.gather(*(store.ping() for store in stores))
        connection = await asyncpg.connect(empty_database)
        names = await connection.fetch("SELECT name FROM nexpo_migrations")
        await connection.close()
        assert [row["name"] for row in names] == ["0001_users.sql"]


async def test_a_role_without_rights_to_create_works_on_a_migrated_database(
    empty_database: str,
) -> None:
    async with Database.open(empty_database) as database:
        await PostgresUsers(database).ping()
    admin = await asyncpg.connect(empty_database)
    role = urlsplit(empty_database).path.removeprefix("/") + "_role"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    try:
        await admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON nexpo_users TO {role}")
        await admin.execute(f"GRANT SELECT ON nexpo_migrations TO {role}")
        parts = urlsplit(empty_database)
        url = urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.hostname}:{parts.port}"))
        async with Database.open(url) as database:
            store = PostgresUsers(database)
            await store.create("t", new_key(), new_record())
            assert await reason_of(store.claim("t", new_key(), "user:1")) == "STORE_DENIED"
        wrong = url.replace(":secret@", ":other@")
        async with Database.open(wrong) as database:
            assert await reason_of(PostgresUsers(database).ping()) == "STORE_DENIED"
    finally:
        await admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await admin.close()


async def test_a_trigger_that_refuses_ends_as_a_refusal_without_its_text(
    empty_database: str,
) -> None:
    async with Database.open(empty_database) as database:
        store = PostgresUsers(database)
        await store.ping()
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
            await store.create("t", key, new_record())
        assert "secret" not in str(caught.value)
        await store.remove("t", key)
        assert await store.page("t", None, 10) == []


async def test_a_server_without_free_connections_throttles(empty_database: str) -> None:
    name = urlsplit(empty_database).path.removeprefix("/")
    async with Database.open(empty_database) as database:
        await PostgresUsers(database).ping()
    admin = await asyncpg.connect(empty_database)
    role = f"{name}_role"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
    try:
        parts = urlsplit(empty_database)
        url = urlunsplit(parts._replace(netloc=f"{role}:x@{parts.hostname}:{parts.port}"))
        async with Database.open(url) as database:
            assert await reason_of(PostgresUsers(database).ping()) == "STORE_THROTTLED"
    finally:
        await admin.execute(f"DROP ROLE {role}")
        await admin.close()


async def test_a_write_that_waits_for_a_lock_gives_up_in_time(empty_database: str) -> None:
    async with Database.open(empty_database) as database:
        store = PostgresUsers(database)
        await store.ping()
        other = await asyncpg.connect(empty_database)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("LOCK TABLE nexpo_users IN ACCESS EXCLUSIVE MODE")
        key, record = new_key(), new_record()
        async with asyncio.timeout(30):
            assert await reason_of(store.create("t", key, record)) == "STORE_UNAVAILABLE"
        await transaction.rollback()
        await other.close()
        assert (await store.create("t", key, record)).record == record
        assert len(await store.page("t", None, 10)) == 1


async def test_a_table_that_another_version_changes_needs_no_restart(empty_database: str) -> None:
    # Statements are prepared by connection, and their plans end with the types of their columns.
    async with Database.open(empty_database) as database:
        store = PostgresUsers(database)
        key, record = new_key(), new_record()
        created = await store.create("t", key, record)
        for change in (
            "ALTER TABLE nexpo_users ALTER COLUMN display_name TYPE varchar(500)",
            "ALTER TABLE nexpo_users ADD COLUMN later text NOT NULL DEFAULT ''",
            "ALTER TABLE nexpo_claims ALTER COLUMN resource TYPE varchar(500)",
        ):
            await store.claim("t", key, "r")
            administrator = await asyncpg.connect(empty_database)
            try:
                await administrator.execute(change)
            finally:
                await administrator.close()
            assert await store.create("t", key, record) == created
            assert await store.get("t", record.user.user_id) == created
            assert await store.page("t", None, 10) == [created]
            assert await store.claim("t", key, "r")
