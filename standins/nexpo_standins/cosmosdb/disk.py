"""The SQLite file: one writer, every commit on disk before it is answered."""

from __future__ import annotations

import base64
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clock (lsn INTEGER NOT NULL);
INSERT INTO clock SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM clock);
CREATE TABLE IF NOT EXISTS databases (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    etag TEXT NOT NULL,
    ts INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS containers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    database INTEGER NOT NULL REFERENCES databases ON DELETE CASCADE,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    etag TEXT NOT NULL,
    ts INTEGER NOT NULL,
    UNIQUE (database, id)
);
CREATE TABLE IF NOT EXISTS items (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    container INTEGER NOT NULL REFERENCES containers ON DELETE CASCADE,
    partition TEXT NOT NULL,
    epk TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    etag TEXT NOT NULL,
    ts INTEGER NOT NULL,
    lsn INTEGER NOT NULL,
    expires INTEGER,
    UNIQUE (container, partition, id)
);
CREATE INDEX IF NOT EXISTS items_by_lsn ON items (container, lsn);
CREATE INDEX IF NOT EXISTS items_by_expiry ON items (container, expires)
    WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS unique_values (
    container INTEGER NOT NULL,
    partition TEXT NOT NULL,
    policy INTEGER NOT NULL,
    value TEXT NOT NULL,
    item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    PRIMARY KEY (container, partition, policy, value)
);
CREATE INDEX IF NOT EXISTS unique_values_by_item ON unique_values (item);
"""


class Disk:
    """The file and its only connection; used by one thread at a time.

    Args:
        folder: Where the file lies; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(
            folder / "cosmosdb.sqlite", isolation_level=None, check_same_thread=False
        )
        self.connection.row_factory = sqlite3.Row
        self.connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            + _SCHEMA
        )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing; on disk when the block has ended."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def tick(self) -> int:
        """The next log sequence number; in a transaction only."""
        row = self.connection.execute("UPDATE clock SET lsn = lsn + 1 RETURNING lsn").fetchone()
        return int(row["lsn"])

    def lsn(self) -> int:
        """The last log sequence number."""
        return int(self.connection.execute("SELECT lsn FROM clock").fetchone()["lsn"])

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()


def new_etag(lsn: int) -> str:
    """An etag, in quotes as the service writes them."""
    return f'"{lsn:08x}-0000-0000-0000-{int(time.time()):08x}0000"'


def rid(*numbers: int) -> str:
    """A resource id: 4 bytes a database, 8 a container, 16 an item."""
    widths = (4, 4, 8)
    raw = b"".join(
        # The first bit of a container's part tells it from a user's.
        (number | (1 << 31) if place == 1 else number).to_bytes(widths[place], "big")
        for place, number in enumerate(numbers)
    )
    return base64.b64encode(raw).decode().replace("/", "-")
