"""Supabase's own promises: its schema made once and closed, its API's refusals mapped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import asyncpg
import httpx
import pytest
from calls import new_key, reason_of
from user_records import new_record
from waiting import until

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.databases.opened import Database, open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.users.users import Users
from nexpo_dev.pytest_plugin import SupabaseAddress
from nexpo_runtime.errors import Fault


def opened(
    project: SupabaseAddress, key: str = "", *, migrated: bool = False
) -> AbstractAsyncContextManager[Database]:
    """The project; `migrated` says that somebody else migrates it."""
    options = {"url": project.url, "key": key or project.key}
    if not migrated:
        options["database_url"] = project.database_url
    return open_database(DatabaseEntry("supabase", "supabase", options))


@pytest.fixture
async def users(supabase: SupabaseAddress) -> AsyncIterator[Users]:
    async with opened(supabase) as project:
        await project.ping()
        yield Users.over(project)


@pytest.fixture
async def database(supabase: SupabaseAddress) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(supabase.database_url)
    yield connection
    await connection.close()


async def test_a_connection_that_is_reset_when_it_was_just_made_is_worth_another_try(
    supabase: SupabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed_meanwhile(self: object, request: httpx.Request) -> httpx.Response:
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", closed_meanwhile)
    async with opened(supabase, migrated=True) as project:
        with pytest.raises(Fault) as failed:
            await project.ping()

    assert failed.value.reason == Reason.REASON_STORE_UNAVAILABLE


async def test_workers_that_start_at_once_migrate_once(
    supabase: SupabaseAddress, database: asyncpg.Connection
) -> None:
    async with AsyncExitStack() as stack:
        projects = [await stack.enter_async_context(opened(supabase)) for _ in range(4)]
        await asyncio.gather(*(project.ping() for project in projects))
    # Tests of other tables share the project.
    names = await database.fetch("SELECT name FROM nexpo_migrations WHERE name !~ 'samples'")
    assert [row["name"] for row in names] == ["0001_users.sql"]


async def test_the_public_roles_see_and_write_nothing(
    users: Users, tenant: str, database: asyncpg.Connection
) -> None:
    await users.create(tenant, new_key(), new_record())
    for role in ("anon", "authenticated"):
        for statement in (
            "SELECT * FROM nexpo_users",
            "SELECT * FROM nexpo_claims",
            "INSERT INTO nexpo_claims (tenant, key, resource) VALUES ('t', 'k', 'r')",
        ):
            transaction = database.transaction()
            await transaction.start()
            await database.execute(f"SET LOCAL ROLE {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await database.execute(statement)
            await transaction.rollback()


async def test_a_worker_that_starts_closes_what_is_open(
    supabase: SupabaseAddress, users: Users, database: asyncpg.Connection
) -> None:
    await database.execute("GRANT INSERT ON nexpo_claims TO anon")
    async with opened(supabase) as project:
        await project.ping()

    allowed = "SELECT has_table_privilege('anon', 'nexpo_claims', 'INSERT')"
    assert await database.fetchval(allowed) is False


async def test_a_wrong_key_is_denied(supabase: SupabaseAddress, users: Users) -> None:
    async with opened(supabase, "a.wrong.key", migrated=True) as project:
        assert await reason_of(project.ping()) == "STORE_DENIED"


async def test_a_trigger_that_refuses_ends_as_a_refusal_without_its_text(
    users: Users, tenant: str, database: asyncpg.Connection
) -> None:
    name = f"refuse_{tenant.replace('-', '_')}"
    await database.execute(f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'secret reason %', NEW.email; END $$;
        CREATE TRIGGER {name} BEFORE INSERT ON nexpo_users FOR EACH ROW
        WHEN (NEW.tenant = '{tenant}' AND NEW.removed_time IS NULL) EXECUTE FUNCTION {name}();
    """)
    try:
        key = new_key()
        with pytest.raises(Exception, match="STORE_REFUSED") as caught:
            await users.create(tenant, key, new_record())
        assert "secret" not in str(caught.value)
        await users.remove(tenant, key)
        assert await users.page(tenant, None, 10) == []
    finally:
        await database.execute(f"DROP FUNCTION {name} CASCADE")


async def test_a_project_without_its_tables_is_unavailable_until_it_has_them(
    supabase: SupabaseAddress, users: Users, database: asyncpg.Connection, tenant: str
) -> None:
    await database.execute("ALTER TABLE nexpo_claims RENAME TO nexpo_claims_elsewhere")
    try:
        async with opened(supabase, migrated=True) as project:
            other = Users.over(project).claims

            async def unavailable() -> bool:
                reason = await reason_of(other.claim(tenant, new_key(), f"user:{new_key()}"))
                assert reason in ("", "STORE_UNAVAILABLE")
                return bool(reason)

            async def available() -> bool:
                return not await unavailable()

            await until(unavailable)
            await database.execute("ALTER TABLE nexpo_claims_elsewhere RENAME TO nexpo_claims")
            await until(available)
    finally:
        await database.execute(
            "ALTER TABLE IF EXISTS nexpo_claims_elsewhere RENAME TO nexpo_claims"
        )
