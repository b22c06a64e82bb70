"""Supabase keeps users as every store must, and its own promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import asyncpg
import httpx
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
from waiting import until

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.providers.supabase.project import Project
from nexpo_db_worker.providers.supabase.users import SupabaseUsers
from nexpo_db_worker.stores import UserStore
from nexpo_dev.pytest_plugin import SupabaseAddress
from nexpo_runtime.errors import Fault


@pytest.fixture
async def store(supabase: SupabaseAddress) -> AsyncIterator[UserStore]:
    async with Project.open(supabase.url, supabase.key, supabase.database_url) as project:
        yield SupabaseUsers(project)


@pytest.fixture
async def database(supabase: SupabaseAddress) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(supabase.database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def dump(database: asyncpg.Connection) -> Dump:
    async def everything(tenant: str) -> str:
        users = await database.fetch("SELECT * FROM nexpo_users WHERE tenant = $1", tenant)
        claims = await database.fetch("SELECT * FROM nexpo_claims WHERE tenant = $1", tenant)
        return f"{users} {claims}"

    return everything


@pytest.fixture
async def age(database: asyncpg.Connection) -> Age:
    async def eight_days(tenant: str) -> None:
        for table in ("nexpo_users", "nexpo_claims"):
            await database.execute(
                f"UPDATE {table} SET removed_time = now() - interval '8 days'"
                " WHERE tenant = $1 AND removed_time IS NOT NULL",
                tenant,
            )

    return eight_days


@pytest.fixture
async def distant(supabase: SupabaseAddress, store: UserStore) -> AsyncIterator[Distant]:
    await store.ping()
    parts = urlsplit(supabase.url)
    if parts.scheme != "http":
        pytest.skip("a proxy cannot stand before TLS")
    async with TcpProxy(parts.hostname or "", parts.port or 80) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        async with Project.open(url, supabase.key, None) as project:
            yield Distant(SupabaseUsers(project), proxy)


async def test_a_connection_that_is_reset_when_it_was_just_made_is_worth_another_try(
    supabase: SupabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed_meanwhile(self: object, request: httpx.Request) -> httpx.Response:
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", closed_meanwhile)
    async with Project.open(supabase.url, supabase.key, None) as project:
        with pytest.raises(Fault) as failed:
            await SupabaseUsers(project).ping()

    assert failed.value.reason == Reason.REASON_STORE_UNAVAILABLE


class TestSupabaseUsers(UserStoreContract):
    """The contract of every store."""


async def test_workers_that_start_at_once_migrate_once(
    supabase: SupabaseAddress, database: asyncpg.Connection
) -> None:
    async with AsyncExitStack() as stack:
        stores = [
            SupabaseUsers(
                await stack.enter_async_context(
                    Project.open(supabase.url, supabase.key, supabase.database_url)
                )
            )
            for _ in range(4)
        ]
        await asyncio.gather(*(store.ping() for store in stores))
    names = await database.fetch("SELECT name FROM nexpo_migrations ORDER BY name")
    assert [row["name"] for row in names] == ["0001_users.sql", "supabase_0001_access.sql"]


async def test_the_public_roles_see_and_write_nothing(
    store: UserStore, tenant: str, database: asyncpg.Connection
) -> None:
    await store.create(tenant, new_key(), new_record())
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
    supabase: SupabaseAddress, store: UserStore, database: asyncpg.Connection
) -> None:
    await store.ping()
    await database.execute("GRANT INSERT ON nexpo_claims TO anon")
    async with Project.open(supabase.url, supabase.key, supabase.database_url) as project:
        await SupabaseUsers(project).ping()

    allowed = "SELECT has_table_privilege('anon', 'nexpo_claims', 'INSERT')"
    assert await database.fetchval(allowed) is False


async def test_a_wrong_key_is_denied(supabase: SupabaseAddress, store: UserStore) -> None:
    await store.ping()
    async with Project.open(supabase.url, "a.wrong.key", None) as project:
        assert await reason_of(SupabaseUsers(project).ping()) == "STORE_DENIED"


async def test_a_trigger_that_refuses_ends_as_a_refusal_without_its_text(
    store: UserStore, tenant: str, database: asyncpg.Connection
) -> None:
    await store.ping()
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
            await store.create(tenant, key, new_record())
        assert "secret" not in str(caught.value)
        await store.remove(tenant, key)
        assert await store.page(tenant, None, 10) == []
    finally:
        await database.execute(f"DROP FUNCTION {name} CASCADE")


async def test_a_project_without_its_tables_is_unavailable_until_it_has_them(
    supabase: SupabaseAddress, store: UserStore, database: asyncpg.Connection, tenant: str
) -> None:
    await store.ping()
    await database.execute("ALTER TABLE nexpo_claims RENAME TO nexpo_claims_elsewhere")
    try:
        async with Project.open(supabase.url, supabase.key, None) as project:
            other = SupabaseUsers(project)

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
