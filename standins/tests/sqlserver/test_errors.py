"""What goes wrong arrives as SQL Server's own error numbers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
import pytds
import pytest

from nexpo_dev.pytest_plugin import SqlServerAddress
from nexpo_dev.servers.stand_ins import SqlServer


def number_of(link: Any, sql: str, *values: object) -> int:
    with pytest.raises(pytds.DatabaseError) as caught:
        link.cursor().execute(sql, values)
    return int(caught.value.number)


def test_a_wrong_password_or_user_is_18456(another: Callable[..., Any]) -> None:
    for wrong in ({"password": "wrong"}, {"user": "nobody"}, {"user": "", "password": ""}):
        with pytest.raises(pytds.OperationalError) as caught:
            another(**wrong)
        assert caught.value.number == 18456


def test_another_database_cannot_be_opened(another: Callable[..., Any]) -> None:
    with pytest.raises(pytds.OperationalError, match="Cannot open database") as caught:
        another(database="other")
    assert caught.value.number == 18456


def test_each_violation_has_its_number(link: Any, table: str) -> None:
    link.cursor().execute(f"CREATE UNIQUE INDEX ix ON {table} (name) WHERE size = 5")
    link.cursor().execute(f"INSERT INTO {table} (code, name, size) VALUES (N'a', N'n', 5)")
    insert = f"INSERT INTO {table} (code, name, size) VALUES (%s, %s, %s)"
    assert number_of(link, insert, "a", "x", 1) == 2627
    assert number_of(link, insert, "b", "n", 5) == 2601
    assert number_of(link, insert, None, "x", 1) == 515
    assert number_of(link, insert, "c", "x", 0) == 547
    assert number_of(link, insert, "c" * 21, "x", 1) == 2628
    assert link.cursor().execute_scalar(f"SELECT COUNT(*) FROM {table}") == 1


def test_a_duplicate_names_its_constraint_table_and_value(link: Any, table: str) -> None:
    insert = f"INSERT INTO {table} (code) VALUES (N'twice')"
    link.cursor().execute(insert)
    with pytest.raises(pytds.IntegrityError) as caught:
        link.cursor().execute(insert)
    for part in (f"'uq_{table[4:]}'", f"'{table}'", "(twice)"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT 1 FROM dbo.missing", 208),
        ("SELECT missing FROM (SELECT 1 AS a) AS t", 207),
        ("SELECT dbo.missing(1)", 195),
        ("SELECT FROM WHERE", 102),
        ("SELECT @missing", 137),
        ("EXEC dbo.missing @a = 1", 2812),
        ("DECLARE @a INT = 1", 102),
        ("IF 1 = 1 SELECT 1", 102),
        ("MERGE a USING b ON a.x = b.x WHEN MATCHED THEN DELETE", 102),
        ("WAITFOR DELAY '00:00:01'", 102),
        ("CREATE PROCEDURE dbo.p AS SELECT 1", 102),
        ("CREATE TABLE dbo.x (a GEOGRAPHY)", 102),
        ("CREATE TABLE dbo.x (a NVARCHAR(5) COLLATE Latin1_General_CI_AS)", 102),
        ("SELECT 1 FROM dbo.x WITH (HOLDLOCK)", 102),
        ("SET ANSI_NULLS OFF", 102),
        ("USE [master]", 911),
        ("COMMIT", 3902),
        ("ROLLBACK", 3903),
    ],
)
def test_what_it_does_not_know_is_a_numbered_error_and_the_session_lives_on(
    link: Any, sql: str, number: int
) -> None:
    assert number_of(link, sql) == number
    assert link.cursor().execute_scalar("SELECT 1") == 1


def test_a_nul_that_postgresql_cannot_keep_is_told_as_its_limit(link: Any, table: str) -> None:
    with pytest.raises(pytds.DatabaseError, match="PostgreSQL refuses") as caught:
        link.cursor().execute(f"INSERT INTO {table} (code) VALUES (%s)", ("a\0b",))
    assert caught.value.number == 50000


def test_an_unknown_procedure_is_2812(link: Any) -> None:
    with pytest.raises(pytds.ProgrammingError) as caught:
        link.cursor().callproc("dbo.missing", ("x",))
    assert caught.value.number == 2812


async def test_a_trigger_behind_it_can_make_it_refuse_with_a_chosen_number(
    own: SqlServer, connect: Callable[..., Any]
) -> None:
    link = connect(own.url)
    link.cursor().execute("CREATE TABLE dbo.guarded (a INT)")
    behind = await asyncpg.connect(own.postgres.url)
    for options, number in (
        ("", 50000),
        (" USING ERRCODE = 'check_violation'", 547),
        (" USING HINT = 'error 40501'", 40501),
    ):
        await behind.execute(f"""
            CREATE OR REPLACE FUNCTION dbo.refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no more of these'{options}; END $$;
            CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON dbo.guarded FOR EACH ROW
            EXECUTE FUNCTION dbo.refuse();
        """)
        with pytest.raises(pytds.DatabaseError, match="no more of these") as caught:
            link.cursor().execute("INSERT INTO dbo.guarded (a) VALUES (1)")
        assert caught.value.number == number
    await behind.close()
    assert link.cursor().execute_scalar("SELECT COUNT(*) FROM dbo.guarded") == 0


async def test_of_two_that_lock_crosswise_one_is_the_deadlock_victim(
    another: Callable[..., Any], link: Any, table: str
) -> None:
    link.cursor().execute(f"INSERT INTO {table} (code) VALUES (N'a'), (N'b')")
    first, second = another(), another()
    update = f"UPDATE {table} SET name = N'x' WHERE code = %s"
    for one, code in ((first, "a"), (second, "b")):
        one.cursor().execute("BEGIN TRANSACTION")
        one.cursor().execute(update, (code,))
    outcomes = await asyncio.gather(
        asyncio.to_thread(lambda: first.cursor().execute(update, ("b",))),
        asyncio.to_thread(lambda: second.cursor().execute(update, ("a",))),
        return_exceptions=True,
    )
    victims = [outcome for outcome in outcomes if isinstance(outcome, pytds.DatabaseError)]
    assert [victim.number for victim in victims] == [1205]
    loser, winner = (first, second) if outcomes[0] is victims[0] else (second, first)
    winner.cursor().execute("COMMIT")
    assert loser.cursor().execute_scalar("SELECT @@TRANCOUNT") == 0


def test_a_lock_that_does_not_come_in_time_is_1222(
    another: Callable[..., Any], link: Any, table: str
) -> None:
    link.cursor().execute(f"INSERT INTO {table} (code) VALUES (N'a')")
    holder, waiter = another(), another()
    holder.cursor().execute("BEGIN TRANSACTION")
    holder.cursor().execute(f"UPDATE {table} SET name = N'x'")
    waiter.cursor().execute("SET LOCK_TIMEOUT 50")
    assert number_of(waiter, f"UPDATE {table} SET name = N'y'") == 1222
    holder.cursor().execute("ROLLBACK")
    waiter.cursor().execute(f"UPDATE {table} SET name = N'y'")


async def test_bytes_that_are_no_tds_end_only_their_own_connection(
    sqlserver: SqlServerAddress, link: Any
) -> None:
    parts = sqlserver.url.rpartition("@")[2].partition("/")[0].split(":")
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"\x12\x01\x00\x04", uuid.uuid4().bytes * 99):
        reader, writer = await asyncio.open_connection(parts[0], int(parts[1]))
        writer.write(nonsense)
        writer.write_eof()
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 90)
        writer.close()
    assert link.cursor().execute_scalar("SELECT 1") == 1
