"""Nothing of ours in a Supabase project is open to its public roles, whatever a migration makes."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from importlib import resources
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from nexpo_db_worker.engines.migrations import Migration, migrations_of
from nexpo_db_worker.engines.postgres.migrations import migrate
from nexpo_db_worker.engines.supabase.access import CLOSE, close, open_objects
from nexpo_dev.pytest_plugin import SupabaseAddress

STEPS = migrations_of("supabase")
PUBLIC_ROLES = ("anon", "authenticated")
# An author's next migration: it forgets who else may use what it makes.
NEXT = """
    CREATE TABLE nexpo_votes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, choice text);
    CREATE TABLE nexpo_ballots (id serial PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE VIEW nexpo_results AS SELECT choice, count(*) FROM nexpo_votes GROUP BY choice;
    CREATE FUNCTION nexpo_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM nexpo_votes';
"""
MADE = {
    *("nexpo_votes", "nexpo_votes_id_seq", "nexpo_ballots", "nexpo_ballots_id_seq"),
    *("nexpo_results", "nexpo_count"),
}


@pytest.fixture
async def project(supabase: SupabaseAddress) -> AsyncIterator[asyncpg.Connection]:
    """A database as a new project has it: with its roles and default privileges, and empty."""
    name = f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(supabase.database_url)
    await admin.execute(f"CREATE DATABASE {name}")
    url = urlunsplit(urlsplit(supabase.database_url)._replace(path=f"/{name}"))
    connection = await asyncpg.connect(url)
    try:
        roles = resources.files("nexpo_standins.supabase") / "project.sql"
        await connection.execute(roles.read_text())
        yield connection
    finally:
        await connection.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


MORE = (*STEPS, Migration("0099_votes.sql", NEXT))


async def usable(connection: asyncpg.Connection, role: str) -> list[str]:
    """Tables and views of the schema public, of any name, that the role may use."""
    rows = await connection.fetch(
        """
        SELECT c.relname AS name FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND (has_table_privilege($1, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
               OR (c.relkind IN ('r', 'p') AND NOT c.relrowsecurity))
        """,
        role,
    )
    return sorted(row["name"] for row in rows)


@pytest.mark.parametrize("role", PUBLIC_ROLES)
async def test_the_catalogue_of_a_migrated_project_has_no_open_table(
    project: asyncpg.Connection, role: str
) -> None:
    await migrate(project, STEPS, after=CLOSE)

    assert await usable(project, role) == []
    assert await project.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") > 2


async def test_everything_that_a_migration_makes_has_the_name_by_which_it_is_closed(
    project: asyncpg.Connection,
) -> None:
    await migrate(project, STEPS, after=CLOSE)

    rows = await project.fetch(
        """
        SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        """
    )
    assert [row["name"] for row in rows if not row["name"].startswith("nexpo_")] == []


async def test_what_a_later_migration_makes_is_closed_with_it(project: asyncpg.Connection) -> None:
    await migrate(project, STEPS, after=CLOSE)
    await migrate(project, MORE, after=CLOSE)

    assert await open_objects(project) == []
    for role in PUBLIC_ROLES:
        assert await usable(project, role) == []
        for statement in (
            "INSERT INTO nexpo_votes (choice) VALUES ('yes')",
            "SELECT * FROM nexpo_results",
            "SELECT nexpo_count()",
            "SELECT nextval('nexpo_ballots_id_seq')",
        ):
            await project.execute(f"SET ROLE {role}")
            try:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await project.execute(statement)
            finally:
                await project.execute("RESET ROLE")


async def test_what_is_open_already_is_found_and_closed_at_the_next_start(
    project: asyncpg.Connection,
) -> None:
    await migrate(project, MORE)
    assert set(await open_objects(project)) >= MADE

    assert set(await close(project)) >= MADE

    assert await open_objects(project) == []
    assert await close(project) == []


async def test_a_grant_of_one_column_is_found_too(project: asyncpg.Connection) -> None:
    await migrate(project, STEPS, after=CLOSE)
    await project.execute("GRANT SELECT (email) ON nexpo_users TO anon")

    assert await close(project) == ["nexpo_users"]
    assert await open_objects(project) == []


async def test_the_service_role_and_the_tables_of_others_stay_as_they_are(
    project: asyncpg.Connection,
) -> None:
    await project.execute("CREATE TABLE of_somebody_else (id int)")
    await migrate(project, MORE, after=CLOSE)

    theirs = "SELECT has_table_privilege('anon', 'of_somebody_else', 'INSERT')"
    assert await project.fetchval(theirs)
    async with project.transaction():
        await project.execute("SET LOCAL ROLE service_role")
        await project.execute("INSERT INTO nexpo_votes (choice) VALUES ('yes')")
        assert await project.fetchval("SELECT nexpo_count()") == 1
