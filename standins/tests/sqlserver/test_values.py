"""Values and parameters keep their types on the way through the real driver."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytds
import pytest

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456)
ZONED = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("INT", 0),
        ("INT", -(2**31)),
        ("BIGINT", 2**63 - 1),
        ("BIGINT", -(2**63)),
        ("BIT", True),
        ("BIT", False),
        ("NVARCHAR(MAX)", ""),
        ("NVARCHAR(50)", "Zoë 陳大文 👩‍👩‍👧 'quoted' -- %s"),
        ("NVARCHAR(MAX)", "long 鍵 " * 20_000),
        ("VARBINARY(MAX)", pytds.Binary(bytes(range(256)))),
        ("VARBINARY(MAX)", pytds.Binary(b"\x00\xff" * 20_000)),
        ("UNIQUEIDENTIFIER", uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")),
        ("DATETIME2(6)", MOMENT),
        ("DATETIME2(6)", datetime(1, 1, 1)),
        ("DATETIME2(6)", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("DATETIMEOFFSET(6)", ZONED),
        ("INT", None),
        ("NVARCHAR(MAX)", None),
        ("DATETIME2(6)", None),
        ("UNIQUEIDENTIFIER", None),
        ("VARBINARY(MAX)", None),
        ("BIT", None),
    ],
)
def test_a_value_comes_back_from_a_column_as_it_was_sent(
    link: Any, declared: str, value: object
) -> None:
    name = f"dbo.v_{uuid.uuid4().hex}"
    cursor = link.cursor()
    cursor.execute(f"CREATE TABLE {name} (v {declared} NULL, n INT NOT NULL)")
    try:
        cursor.execute(f"INSERT INTO {name} (v, n) VALUES (%s, %s)", (value, 7))
        assert cursor.rowcount == 1
        cursor.execute(f"SELECT v, n FROM {name}")
        assert cursor.fetchall() == [(value, 7)]
        assert cursor.description[0][0] == "v"
    finally:
        link.cursor().execute(f"DROP TABLE {name}")


def test_a_time_with_a_zone_is_kept_as_a_moment(link: Any) -> None:
    found = link.cursor().execute_scalar("SELECT %s", (ZONED,))
    assert found == ZONED
    assert found.astimezone(UTC).replace(tzinfo=None) == MOMENT - timedelta(hours=2)


def test_one_parameter_may_be_used_in_many_places(link: Any) -> None:
    cursor = link.cursor()
    cursor.execute("SELECT %(a)s, %(b)s, %(a)s", {"a": "x", "b": 2})
    assert cursor.fetchall() == [("x", 2, "x")]


def test_a_result_of_many_packets_arrives_whole(link: Any, table: str) -> None:
    cursor = link.cursor()
    for first in range(0, 600, 200):
        rows = ", ".join(f"(N'c{n}', N'{'n' * (n % 90)}')" for n in range(first, first + 200))
        cursor.execute(f"INSERT INTO {table} (code, name) VALUES {rows}")
        assert cursor.rowcount == 200
    cursor.execute(f"SELECT code, name FROM {table} ORDER BY id")
    assert cursor.fetchall() == [(f"c{n}", "n" * (n % 90)) for n in range(600)]


def test_a_type_that_it_does_not_know_is_named_in_the_error(link: Any) -> None:
    with pytest.raises(pytds.ProgrammingError, match=r"does not know.*0x6D") as caught:
        link.cursor().execute("SELECT %s", (1.5,))
    assert caught.value.number == 102
    assert link.cursor().execute_scalar("SELECT 1") == 1


def test_time_and_identity_come_from_the_server(link: Any, table: str) -> None:
    cursor = link.cursor()
    moment = cursor.execute_scalar("SELECT SYSUTCDATETIME()")
    assert abs(datetime.now(UTC).replace(tzinfo=None) - moment) < timedelta(minutes=1)
    cursor.execute(
        f"INSERT INTO {table} (code) VALUES (%s); SELECT CAST(SCOPE_IDENTITY() AS BIGINT)", ("a",)
    )
    assert cursor.nextset()
    assert cursor.fetchall() == [(1,)]
    cursor.execute(f"INSERT INTO {table} (code) OUTPUT INSERTED.id, INSERTED.code VALUES (N'b')")
    assert cursor.fetchall() == [(2, "b")]
    cursor.execute(
        f"UPDATE {table} SET code = N'c' OUTPUT DELETED.code, INSERTED.code WHERE id = 2"
    )
    assert cursor.fetchall() == [("b", "c")]


def test_top_and_offset_limit_the_rows(link: Any, table: str) -> None:
    cursor = link.cursor()
    cursor.execute(f"INSERT INTO {table} (code) VALUES (N'a'), (N'b'), (N'c')")
    cursor.execute(f"SELECT TOP (%s) [code] FROM {table} ORDER BY code DESC", (2,))
    assert cursor.fetchall() == [("c",), ("b",)]
    cursor.execute(
        f"SELECT code FROM {table} ORDER BY code OFFSET %s ROWS FETCH NEXT 5 ROWS ONLY", (1,)
    )
    assert cursor.fetchall() == [("b",), ("c",)]
