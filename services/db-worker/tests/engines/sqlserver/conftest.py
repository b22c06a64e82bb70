"""A SQL Server of a test's own, to be broken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nexpo_dev import servers
from nexpo_dev.servers.stand_ins import SqlServer


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[SqlServer]:
    """The stand-in on an empty PostgreSQL of its own."""
    async with servers.sqlserver(tmp_path / "sqlserver") as server:
        yield server
