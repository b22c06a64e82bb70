"""Brings a database to the schema that this version needs, once, whoever else starts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nexpo_db_worker.engines.migrations import STEP_S, Migration, missing, running
from nexpo_db_worker.engines.sqlserver.connection import Connection

_LOCK = "nexpo_migrations"
_BATCH_END = re.compile(r"^GO[ \t]*$", re.MULTILINE | re.IGNORECASE)
_EXISTS = """
    SELECT COUNT(*) FROM INFORMATION_SCHEMA.TABLES
    WHERE TABLE_SCHEMA = N'dbo' AND TABLE_NAME = N'nexpo_migrations'
"""
_CREATE = """
    CREATE TABLE dbo.nexpo_migrations (
        name NVARCHAR(200) NOT NULL CONSTRAINT nexpo_migrations_name PRIMARY KEY,
        apply_time DATETIME2(6) NOT NULL
    )
"""
_RECORD = """
    INSERT INTO dbo.nexpo_migrations (name, apply_time) VALUES (%(name)s, SYSUTCDATETIME())
"""


def migrate(connection: Connection, migrations: Sequence[Migration]) -> list[str]:
    """Applies what is missing, all in one transaction; nothing is asked of an up-to-date database.

    Returns:
        Names of what was applied now.

    Raises:
        pytds.Error, OSError: It failed, and nothing has changed. TimeoutError when another
            worker keeps on migrating.
    """
    if not missing(migrations, _applied(connection) or ()):
        return []
    connection.begin()
    if not connection.lock(_LOCK):
        raise TimeoutError("Another worker migrates.")
    applied = _applied(connection)
    if applied is None:
        connection.execute(_CREATE)
    new = missing(migrations, applied or ())
    for step in new:
        with running(step):
            for batch in _BATCH_END.split(step.text):
                if batch.strip():
                    connection.execute_for(STEP_S, batch)
        connection.execute(_RECORD, name=step.name)
    connection.commit()
    return [step.name for step in new]


def _applied(connection: Connection) -> set[str] | None:
    """Names of the applied migrations; None where there is no table of them."""
    _, rows = connection.execute(_EXISTS)
    if not rows[0][0]:
        return None
    _, rows = connection.execute("SELECT name FROM dbo.nexpo_migrations")
    return {str(name) for (name,) in rows}
