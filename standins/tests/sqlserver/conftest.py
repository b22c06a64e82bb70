"""Connections of the real driver to the stand-in."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytds
import pytest

from nexpo_dev import servers
from nexpo_dev.pytest_plugin import SqlServerAddress
from nexpo_dev.servers.stand_ins import SqlServer


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """connect(url, **options of pytds.connect), with python-tds; closed after the test."""
    with ExitStack() as stack:

        def opened(url: str, **options: object) -> Any:
            parts = urlsplit(url)
            arguments: dict[str, object] = {
                "dsn": parts.hostname,
                "port": parts.port,
                "user": unquote(parts.username or ""),
                "password": unquote(parts.password or ""),
                "database": parts.path.removeprefix("/"),
                "autocommit": True,
                "timeout": 60,
                "login_timeout": 60,
                "disable_connect_retry": True,
            }
            return stack.enter_context(pytds.connect(**(arguments | options)))

        yield opened


@pytest.fixture
def another(connect: Callable[..., Any], sqlserver: SqlServerAddress) -> Callable[..., Any]:
    """another(**options): one more connection to the shared server."""
    return lambda **options: connect(sqlserver.url, **options)


@pytest.fixture
def link(another: Callable[..., Any]) -> Any:
    """A connection to the shared server."""
    return another()


@pytest.fixture
def table(link: Any) -> Iterator[str]:
    """A table of the test's own: id, code (unique), name, size (positive)."""
    name = f"t_{uuid.uuid4().hex}"
    link.cursor().execute(f"""
        CREATE TABLE dbo.{name} (
            id BIGINT IDENTITY(1, 1) NOT NULL PRIMARY KEY,
            code NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL
                CONSTRAINT uq_{name} UNIQUE,
            name NVARCHAR(100) NULL,
            size INT NULL CHECK (size > 0)
        )""")
    yield f"dbo.{name}"
    link.cursor().execute(f"DROP TABLE dbo.{name}")


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[SqlServer]:
    """A stand-in of the test's own, with a PostgreSQL of its own, to be killed."""
    async with servers.sqlserver(tmp_path / "sqlserver") as server:
        yield server
