"""Transactions, cancellation and death, as the real driver sees them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
import pytds
import pytest

from nexpo_dev.servers.stand_ins import SqlServer


def codes(link: Any, table: str) -> list[str]:
    cursor = link.cursor()
    cursor.execute(f"SELECT code FROM {table} ORDER BY code")
    return [code for (code,) in cursor.fetchall()]


def insert(link: Any, table: str, code: str) -> None:
    link.cursor().execute(f"INSERT INTO {table} (code) VALUES (%s)", (code,))


def count(link: Any, sql: str, value: int) -> int:
    return int(link.cursor().execute_scalar(sql, (value,)))


def suppressed(work: Callable[..., None], *arguments: object) -> None:
    with suppress(pytds.Error, OSError):
        work(*arguments)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_the_driver_commits_and_rolls_back(
    another: Callable[..., Any], link: Any, table: str
) -> None:
    writer = another(autocommit=False)
    insert(writer, table, "kept")
    assert codes(link, table) == []
    writer.commit()
    assert codes(link, table) == ["kept"]
    insert(writer, table, "lost")
    writer.rollback()
    insert(writer, table, "also kept")
    writer.commit()
    assert codes(link, table) == ["also kept", "kept"]


def test_batches_begin_count_and_end_transactions(
    another: Callable[..., Any], link: Any, table: str
) -> None:
    def depth() -> int:
        return int(writer.cursor().execute_scalar("SELECT @@TRANCOUNT"))

    writer = another()
    writer.cursor().execute("BEGIN TRANSACTION; BEGIN TRAN")
    assert depth() == 2
    insert(writer, table, "a")
    writer.cursor().execute("COMMIT")
    assert depth() == 1
    assert codes(link, table) == []
    writer.cursor().execute("COMMIT TRANSACTION")
    assert depth() == 0
    assert codes(link, table) == ["a"]
    writer.cursor().execute("BEGIN TRANSACTION; BEGIN TRANSACTION")
    insert(writer, table, "b")
    writer.cursor().execute("ROLLBACK")
    assert depth() == 0
    assert codes(link, table) == ["a"]


def test_a_violation_leaves_the_transaction_open_unless_xact_abort_is_on(
    link: Any, table: str
) -> None:
    for option, kept in (("OFF", ["OFF 1", "OFF 2"]), ("ON", ["OFF 1", "OFF 2"])):
        link.cursor().execute(f"SET XACT_ABORT {option}; BEGIN TRANSACTION")
        insert(link, table, f"{option} 1")
        with pytest.raises(pytds.IntegrityError):
            insert(link, table, f"{option} 1")
        depth = link.cursor().execute_scalar("SELECT @@TRANCOUNT")
        assert depth == (1 if option == "OFF" else 0)
        if depth:
            insert(link, table, f"{option} 2")
            link.cursor().execute("COMMIT")
        assert codes(link, table) == kept


def test_a_batch_goes_on_after_a_violation_unless_xact_abort_is_on(link: Any, table: str) -> None:
    batch = f"""
        INSERT INTO {table} (code) VALUES (%(a)s); INSERT INTO {table} (code) VALUES (%(a)s);
        INSERT INTO {table} (code) VALUES (%(b)s);
    """
    for option, written in (("OFF", ["OFF a", "OFF b"]), ("ON", ["OFF a", "OFF b", "ON a"])):
        cursor = link.cursor()
        cursor.execute(f"SET XACT_ABORT {option}")
        cursor.execute(batch, {"a": f"{option} a", "b": f"{option} b"})
        with pytest.raises(pytds.IntegrityError):
            cursor.nextset()
        assert codes(link, table) == written


def test_a_session_that_ends_rolls_its_transaction_back(
    another: Callable[..., Any], link: Any, table: str
) -> None:
    writer = another()
    writer.cursor().execute("BEGIN TRANSACTION")
    insert(writer, table, "lost")
    writer.close()
    insert(link, table, "lost")
    assert codes(link, table) == ["lost"]


def test_a_query_that_takes_too_long_is_cancelled_and_the_connection_lives_on(
    another: Callable[..., Any], link: Any, table: str
) -> None:
    insert(link, table, "a")
    holder, waiter = another(), another(timeout=0.3)
    holder.cursor().execute("BEGIN TRANSACTION")
    holder.cursor().execute(f"UPDATE {table} SET name = N'held'")
    with pytest.raises(TimeoutError):
        waiter.cursor().execute(f"UPDATE {table} SET name = N'waited'")
    assert waiter.cursor().execute_scalar("SELECT 41 + 1") == 42
    holder.cursor().execute("COMMIT")
    assert link.cursor().execute_scalar(f"SELECT name FROM {table}") == "held"


def test_a_running_query_can_be_cancelled_from_another_thread(
    another: Callable[..., Any], link: Any, table: str
) -> None:
    insert(link, table, "a")
    holder, waiter = another(), another()
    holder.cursor().execute("BEGIN TRANSACTION")
    holder.cursor().execute(f"UPDATE {table} SET name = N'held'")
    waiter.cursor().execute("BEGIN TRANSACTION")
    cursor = waiter.cursor()
    cancel = threading.Timer(0.3, waiter._tds_socket.main_session.put_cancel)
    cancel.start()
    cursor.execute(f"UPDATE {table} SET name = N'waited'")
    cancel.join()
    assert waiter.cursor().execute_scalar("SELECT @@TRANCOUNT") == 1
    waiter.cursor().execute("COMMIT")
    holder.cursor().execute("ROLLBACK")
    assert link.cursor().execute_scalar(f"SELECT name FROM {table}") is None


def test_what_a_client_leaves_running_is_not_written_later(
    another: Callable[..., Any], link: Any, table: str
) -> None:
    holder, leaver = another(), another()
    holder.cursor().execute("BEGIN TRANSACTION")
    insert(holder, table, "contested")
    behind = int(leaver.cursor().execute_scalar("SELECT pg_backend_pid()"))
    waiting = threading.Thread(target=suppressed, args=(insert, leaver, table, "contested"))
    waiting.start()
    session = "SELECT COUNT(*) FROM pg_stat_activity WHERE pid = %s"
    until(lambda: count(link, session + " AND wait_event_type = N'Lock'", behind) == 1)
    leaver._tds_socket.sock.shutdown(socket.SHUT_RDWR)
    waiting.join()
    until(lambda: count(link, session, behind) == 0)
    holder.cursor().execute("ROLLBACK")
    assert codes(link, table) == []


async def test_an_application_lock_lets_one_in_at_a_time(another: Callable[..., Any]) -> None:
    def take(link: Any, wait_ms: int) -> int:
        cursor = link.cursor()
        cursor.callproc(
            "sp_getapplock",
            {"@Resource": "door", "@LockMode": "Exclusive", "@LockTimeout": wait_ms},
        )
        return int(cursor.get_proc_return_status())

    first, second = another(), another()
    for link in (first, second):
        link.cursor().execute("BEGIN TRANSACTION")
    assert take(first, 0) == 0
    assert take(second, 0) == -1
    waiting = asyncio.create_task(asyncio.to_thread(take, second, 8000))
    await asyncio.to_thread(first.cursor().execute, "COMMIT")
    assert await waiting in (0, 1)


@pytest.mark.verify
async def test_a_killed_stand_in_loses_nothing_that_it_acknowledged(
    own: SqlServer, connect: Callable[..., Any]
) -> None:
    link = connect(own.url)
    link.cursor().execute("CREATE TABLE dbo.kept (code NVARCHAR(20) NOT NULL)")
    acknowledged: list[str] = []

    def write() -> None:
        try:
            while True:
                code = f"c{len(acknowledged):05}"
                insert(link, "dbo.kept", code)
                acknowledged.append(code)
                if len(acknowledged) == 50:
                    written.set()
        except (pytds.Error, OSError):
            pass

    written = threading.Event()
    writing = asyncio.create_task(asyncio.to_thread(write))
    await asyncio.to_thread(written.wait, 90)
    await own.kill()
    await writing
    await own.start()
    found = codes(connect(own.url), "dbo.kept")
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) - len(acknowledged) in (0, 1)


@pytest.mark.verify
async def test_a_killed_stand_in_leaves_nothing_running(
    own: SqlServer, connect: Callable[..., Any]
) -> None:
    link = connect(own.url)
    link.cursor().execute("CREATE TABLE dbo.kept (code NVARCHAR(20) NOT NULL)")
    postgres, holder = [await asyncpg.connect(own.postgres.url) for _ in range(2)]
    await holder.execute("BEGIN")
    await holder.execute("LOCK TABLE dbo.kept IN ACCESS EXCLUSIVE MODE")
    writing = asyncio.create_task(asyncio.to_thread(suppressed, insert, link, "dbo.kept", "a"))
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nexpo-sqlserver'"
    deadline = time.monotonic() + 90
    while not await postgres.fetchval(sessions + " AND wait_event_type = 'Lock'"):
        assert time.monotonic() < deadline, "nothing waits for the lock"
        await asyncio.sleep(0.02)
    os.kill(own.pid, signal.SIGKILL)
    await writing
    while await postgres.fetchval(sessions):
        assert time.monotonic() < deadline, "its sessions stay"
        await asyncio.sleep(0.02)
    await holder.execute("ROLLBACK")
    assert await postgres.fetchval("SELECT count(*) FROM dbo.kept") == 0
    await asyncio.gather(postgres.close(), holder.close())


@pytest.mark.verify
async def test_a_lost_postgresql_is_a_broken_connection(
    own: SqlServer, connect: Callable[..., Any]
) -> None:
    idle, busy = connect(own.url), connect(own.url)
    behind = await asyncpg.connect(own.postgres.url)
    busy.cursor().execute("BEGIN TRANSACTION")
    await behind.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'nexpo-sqlserver'"
    )
    await behind.close()
    for link in (idle, busy):
        with pytest.raises((pytds.InterfaceError, ConnectionError)):
            link.cursor().execute("SELECT 1")
    assert connect(own.url).cursor().execute_scalar("SELECT 1") == 1
    await own.postgres.kill()
    with pytest.raises((pytds.InterfaceError, ConnectionError, TimeoutError)):
        connect(own.url, login_timeout=1)
    await own.postgres.start()
    assert connect(own.url).cursor().execute_scalar("SELECT 1") == 1


@pytest.mark.verify
async def test_it_ends_on_sigterm_while_clients_are_connected(
    own: SqlServer, connect: Callable[..., Any]
) -> None:
    link = connect(own.url)
    link.cursor().execute("BEGIN TRANSACTION")
    await own.stop()
    with pytest.raises((pytds.InterfaceError, ConnectionError)):
        link.cursor().execute("SELECT 1")
