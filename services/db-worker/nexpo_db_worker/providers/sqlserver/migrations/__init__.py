"""Brings a database to the schema that this version needs, once, whoever else starts."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from nexpo_db_worker.providers.sqlserver.connection import Connection

FOLDER = Path(__file__).parent
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

_log = logging.getLogger(__name__)


def migrate(connection: Connection) -> None:
    """Applies what is missing, all in one transaction; nothing is asked of an up-to-date database.

    Raises:
        pytds.Error, OSError: It failed, and nothing has changed. TimeoutError when another
            worker keeps on migrating.
    """
    files = sorted(FOLDER.glob("*.sql"))
    if not _missing(files, _applied(connection)):
        return
    connection.begin()
    if not connection.lock(_LOCK):
        raise TimeoutError("Another worker migrates.")
    applied = _applied(connection)
    if applied is None:
        connection.execute(_CREATE)
    missing = _missing(files, applied)
    for file in missing:
        for batch in _BATCH_END.split(file.read_text(encoding="utf-8")):
            if batch.strip():
                connection.execute(batch)
        connection.execute(_RECORD, name=file.name)
    connection.commit()
    for file in missing:
        _log.info("SQL Server: applied migration %s", file.name)


def _applied(connection: Connection) -> set[str] | None:
    """Names of the applied migrations; None where there is no table of them."""
    _, rows = connection.execute(_EXISTS)
    if not rows[0][0]:
        return None
    _, rows = connection.execute("SELECT name FROM dbo.nexpo_migrations")
    return {str(name) for (name,) in rows}


def _missing(files: list[Path], applied: set[str] | None) -> list[Path]:
    return [file for file in files if file.name not in (applied or set())]
