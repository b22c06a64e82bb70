"""Engines are found by themselves; what one lacks is an error that says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from calls import new_key
from samples import SAMPLE_CLAIMS, SAMPLES, new_sample, sample_migrations

import nexpo_db_worker
from nexpo_db_worker.capabilities import Capability
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.table import Column, Table, Type
from nexpo_db_worker.databases import opened as databases
from nexpo_db_worker.databases.opened import Database, open_database
from nexpo_db_worker.engines import ENGINES
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Opened
from nexpo_db_worker.engines.migrations import Migration, migrations_of
from nexpo_db_worker.observed import DATABASE_SECONDS
from nexpo_runtime.errors import ContractError, Fault


async def pong() -> None:
    """Answers."""


async def untold() -> str:
    """Tells no version."""
    return ""


def engine(*capabilities: Capability) -> Engine:
    """An engine that offers nothing, whatever it declares."""

    @asynccontextmanager
    async def opened(
        entry: DatabaseEntry, origin: Origin, migrations: Sequence[Migration]
    ) -> AsyncIterator[Opened]:
        yield Opened(ping=pong, version=untold)

    return Engine("bare", "Bare", frozenset(capabilities), (), opened)


def test_every_folder_of_an_engine_is_found_under_its_own_name() -> None:
    assert set(ENGINES) == {"postgres", "mongodb", "cosmosdb", "sqlserver", "supabase"}
    for kind, found in ENGINES.items():
        assert found.kind == kind


async def test_what_an_engine_lacks_is_named_with_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(databases, "ENGINES", {"bare": engine()})
    async with open_database(DatabaseEntry("eu", "bare", {})) as database:
        await database.ping()
        for ask, capability in ((database.fences, "fences"), (database.records, "records")):
            with pytest.raises(Fault, match="CAPABILITY_MISSING") as missing:
                ask(SAMPLES)
            assert missing.value.metadata == {
                "database": "databases/eu",
                "engine": "bare",
                "capability": capability,
            }


async def test_an_engine_that_does_not_offer_what_it_declares_is_not_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(databases, "ENGINES", {"bare": engine(Capability.FENCES)})
    with pytest.raises(ContractError, match="bare must offer exactly what"):
        async with open_database(DatabaseEntry("eu", "bare", {})):
            pass
    with pytest.raises(ContractError, match="No engine is called oracle"):
        async with open_database(DatabaseEntry("eu", "oracle", {})):
            pass


async def test_two_databases_of_one_kind_are_two(
    postgres_url: str, empty_database: str, tenant: str
) -> None:
    migrations, sample = sample_migrations("postgres"), new_sample()
    entries = [
        DatabaseEntry("postgres", "postgres", {"url": postgres_url}),
        DatabaseEntry("eu", "postgres", {"url": empty_database}),
    ]
    async with (
        open_database(entries[0], migrations) as one,
        open_database(entries[1], migrations) as other,
    ):
        await other.fences(SAMPLES).create(tenant, new_key(), sample)
        assert await one.records(SAMPLES).get(tenant, sample["name"]) is None
        assert await other.records(SAMPLES).get(tenant, sample["name"]) is not None
        assert [one.origin.title, other.origin.title] == ["PostgreSQL", "PostgreSQL (eu)"]


async def test_every_call_is_measured_by_database_table_and_outcome(
    database: Database, tenant: str
) -> None:
    def counted(operation: str, outcome: str) -> float:
        labels = (database.id, "samples", operation, outcome)
        return float(DATABASE_SECONDS.labels(*labels)._sum.get())

    fences, key = database.fences(SAMPLES), new_key()
    before = [counted("create", "ok"), counted("create", "FENCED"), counted("create", "TAKEN")]
    await fences.create(tenant, new_key(), new_sample("one"))
    await fences.remove(tenant, key)
    with pytest.raises(Fault, match="FENCED"):
        await fences.create(tenant, key, new_sample())
    with pytest.raises(Exception, match="label"):
        await fences.create(tenant, new_key(), new_sample("one"))
    after = [counted("create", "ok"), counted("create", "FENCED"), counted("create", "TAKEN")]
    assert all(now > then for now, then in zip(after, before, strict=True))


def test_a_table_without_an_etag_has_no_records() -> None:
    database = Database(Origin("eu", "Bare"), engine(), Opened(ping=pong, version=untold), ())
    with pytest.raises(ContractError, match="sample_claims needs an etag"):
        database.records(SAMPLE_CLAIMS)


@pytest.mark.parametrize("name", ["nowhere", "claims", "sample"])
def test_a_table_that_no_migration_makes_is_refused_before_anything_is_kept(
    name: str, database: Database
) -> None:
    table = Table(name, (Column("name"),), id="name")
    kind = database.origin.id
    with pytest.raises(ContractError, match=f"No migration for {kind}.* makes the table {name}: "):
        database.fences(table)


@pytest.mark.parametrize(
    ("columns", "order"),
    [
        ((Column("label"),), ""),
        ((Column("name", Type.JSON),), ""),
        ((Column("name"), Column("name")), ""),
        ((Column("name"), Column("removed_time", Type.TIME)), ""),
        ((Column("name"), Column("born")), "born"),
    ],
    ids=["no id", "no text", "double", "reserved", "an order that is no time"],
)
def test_a_table_that_contradicts_itself_is_refused(
    columns: tuple[Column, ...], order: str
) -> None:
    with pytest.raises(ContractError, match="The table wrong needs other columns"):
        Table("wrong", columns, id="name", order=order)


def write(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_migrations_are_found_in_every_capabilitys_folder_for_their_own_kind_alone(
    tmp_path: Path,
) -> None:
    write(tmp_path, "votes/migrations/postgres/0002_votes.sql", "two")
    write(tmp_path, "users/migrations/postgres/0001_users.sql", "one")
    write(tmp_path, "users/migrations/postgres/README.md")
    write(tmp_path, "users/migrations/mongodb/0001_users.json", "{}")
    assert migrations_of("postgres", tmp_path) == (
        Migration("0001_users.sql", "one"),
        Migration("0002_votes.sql", "two"),
    )
    assert migrations_of("supabase", tmp_path) == ()


def test_a_migration_takes_over_another_kinds_by_one_line_that_says_so(tmp_path: Path) -> None:
    write(tmp_path, "users/migrations/postgres/0001_users.sql", "CREATE TABLE nexpo_users ();\n")
    own = "-- theirs\n\\ir ../postgres/0001_users.sql\nSELECT 1;\n"
    write(tmp_path, "users/migrations/supabase/0001_users.sql", own)
    (found,) = migrations_of("supabase", tmp_path)
    assert found.text == "-- theirs\nCREATE TABLE nexpo_users ();\n\nSELECT 1;\n"


def test_two_migrations_of_one_name_are_refused(tmp_path: Path) -> None:
    for capability in ("users", "votes"):
        write(tmp_path, f"{capability}/migrations/postgres/0001_first.sql")
    with pytest.raises(ContractError, match=r"called 0001_first\.sql; rename"):
        migrations_of("postgres", tmp_path)


@pytest.mark.parametrize(
    "name",
    ["0002_votes.sql~", "0002_votes.sql.orig", "2_votes.sql", "votes.sql", "0002-votes.sql"],
)
def test_a_migration_that_would_run_twice_or_never_or_too_early_is_refused_by_its_name(
    name: str, tmp_path: Path
) -> None:
    write(tmp_path, "votes/migrations/postgres/.0002_votes.sql.swp")
    assert migrations_of("postgres", tmp_path) == ()
    write(tmp_path, f"votes/migrations/postgres/{name}")
    with pytest.raises(ContractError, match="no migration is called so: name it NNNN_name"):
        migrations_of("postgres", tmp_path)


def test_a_migration_is_the_same_from_every_editor(tmp_path: Path) -> None:
    theirs, own = "\ufeffSELECT 1;\r\n", "\ufeff\\ir ../postgres/0001_users.sql\r\n"
    for kind, text in (("postgres", theirs), ("supabase", own)):
        write(tmp_path, f"users/migrations/{kind}/0001_users.sql")
        (tmp_path / f"users/migrations/{kind}/0001_users.sql").write_bytes(text.encode())
    assert [one.text for one in migrations_of("postgres", tmp_path)] == ["SELECT 1;\n"]
    assert [one.text for one in migrations_of("supabase", tmp_path)] == ["SELECT 1;\n\n"]


def test_every_folder_of_migrations_is_for_an_engine_that_there_is() -> None:
    package = Path(nexpo_db_worker.__file__).parent
    assert {folder.name for folder in package.glob("*/migrations/*")} <= set(ENGINES)
    assert all(migrations_of(kind) for kind in ENGINES), "users live in every kind"
