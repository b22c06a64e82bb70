"""Items: writes under etags and unique keys, reads, the change feed."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nexpo_standins.cosmosdb.catalog import Container, Json, Object, Path, check_id
from nexpo_standins.cosmosdb.disk import Disk, new_etag, rid
from nexpo_standins.cosmosdb.partition_hash import UNDEFINED, effective_key
from nexpo_standins.cosmosdb.refusals import (
    Refusal,
    bad_request,
    id_conflict,
    not_found,
    precondition_failed,
    unique_conflict,
    wrong_partition,
)

MAX_ITEM_BYTES = 2 * 1024 * 1024
_SYSTEM = ("_rid", "_self", "_etag", "_attachments", "_ts")


@dataclass(frozen=True)
class Scope:
    """Part of a container: one logical partition, a range of hashes, or all."""

    partition: str | None = None
    start: str = ""
    end: str = "FF"

    def sql(self) -> tuple[str, list[object]]:
        """As a condition and its parameters."""
        if self.partition is not None:
            return "partition = ?", [self.partition]
        if self.start == self.end:
            return "epk = ?", [self.start]
        return "epk >= ? AND epk < ?", [self.start, self.end]


@dataclass(frozen=True)
class Row:
    """An item and its place in the container's order of creation."""

    number: int
    document: Object


class Items:
    """Items of one container. Writing is for a transaction of the disk."""

    def __init__(self, disk: Disk, container: Container) -> None:
        self._disk = disk
        self._connection = disk.connection
        self._container = container

    def forget_expired(self) -> None:
        """Deletes what has outlived its time; in no transaction."""
        if self._container.default_ttl is None:
            return
        query = "FROM items WHERE container = ? AND expires <= ?"
        values = (self._container.number, time.time())
        if self._connection.execute(f"SELECT 1 {query} LIMIT 1", values).fetchone():
            with self._disk.transaction():
                self._connection.execute(f"DELETE {query}", values)

    def create(self, partition: str, document: Object) -> Object:
        """Writes an item that is not there yet."""
        name = self._check(partition, document)
        if self._find(partition, name) is not None:
            raise id_conflict()
        return self._insert(partition, name, document)

    def upsert(self, partition: str, document: Object, if_match: str | None) -> tuple[bool, Object]:
        """Writes an item; also tells whether it is new. If-Match holds for old ones only."""
        name = self._check(partition, document)
        row = self._find(partition, name)
        if row is None:
            return True, self._insert(partition, name, document)
        _check_match(row, if_match)
        return False, self._update(row, document)

    def replace(self, partition: str, name: str, document: Object, if_match: str | None) -> Object:
        """Writes over an item."""
        if self._check(partition, document) != name:
            raise bad_request("The id of an item cannot be changed.")
        row = self._get(partition, name)
        _check_match(row, if_match)
        return self._update(row, document)

    def delete(self, partition: str, name: str, if_match: str | None) -> None:
        """Deletes an item."""
        row = self._get(partition, name)
        _check_match(row, if_match)
        self._connection.execute("DELETE FROM items WHERE number = ?", (row["number"],))
        self._disk.tick()

    def read(self, partition: str, name: str) -> Object:
        """Reads an item."""
        return self._document(self._get(partition, name))

    def scan(self, scope: Scope, texts: Sequence[str] = ()) -> Iterator[Row]:
        """Items of a scope that have all of the texts somewhere, in order of creation."""
        condition, values = scope.sql()
        for text in texts:
            condition += " AND instr(body, ?)"
            values.append(json.dumps(text))
        rows = self._connection.execute(
            f"SELECT * FROM items WHERE container = ? AND {condition} ORDER BY number",
            [self._container.number, *values],
        )
        for row in rows:
            yield Row(row["number"], self._document(row))

    def changes(
        self, scope: Scope, after: int, since: float, limit: int
    ) -> tuple[list[Object], int]:
        """Items by their last change, and the log sequence number of the last one.

        Args:
            scope: Which.
            after: Log sequence number behind which to start.
            since: Unix time, in seconds; earlier changes are left out.
            limit: How many at most.
        """
        condition, values = scope.sql()
        rows = self._connection.execute(
            f"SELECT * FROM items WHERE container = ? AND {condition} AND lsn > ? AND ts >= ?"
            " ORDER BY lsn LIMIT ?",
            [self._container.number, *values, after, since, limit],
        ).fetchall()
        found = [{**self._document(row), "_lsn": row["lsn"]} for row in rows]
        return found, rows[-1]["lsn"] if rows else after

    def _check(self, partition: str, document: Object) -> str:
        name = check_id(document.get("id"))
        values = [value_at(document, path) for path in self._container.partition_paths]
        if partition_text(values) != partition:
            raise wrong_partition()
        ttl = document.get("ttl")
        if ttl is not None and (not isinstance(ttl, int) or ttl == 0 or ttl < -1):
            raise bad_request("The ttl must be -1 or a positive number of seconds.")
        if len(json.dumps(document, ensure_ascii=False).encode()) > MAX_ITEM_BYTES:
            raise Refusal(413, "Request size is too large")
        return name

    def _insert(self, partition: str, name: str, document: Object) -> Object:
        lsn, now = self._disk.tick(), int(time.time())
        number = self._connection.execute(
            "INSERT INTO items (container, partition, epk, id, body, etag, ts, lsn, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            (
                *(self._container.number, partition, epk_of(partition), name),
                *(_text(document), new_etag(lsn), now, lsn, self._expiry(document, now)),
            ),
        ).fetchone()["number"]
        self._write_unique(number, partition, document)
        return self.read(partition, name)

    def _update(self, row: sqlite3.Row, document: Object) -> Object:
        lsn, now = self._disk.tick(), int(time.time())
        self._connection.execute(
            "UPDATE items SET body = ?, etag = ?, ts = ?, lsn = ?, expires = ? WHERE number = ?",
            (
                *(_text(document), new_etag(lsn), now, lsn),
                *(self._expiry(document, now), row["number"]),
            ),
        )
        self._connection.execute("DELETE FROM unique_values WHERE item = ?", (row["number"],))
        self._write_unique(row["number"], row["partition"], document)
        return self.read(row["partition"], row["id"])

    def _write_unique(self, number: int, partition: str, document: Object) -> None:
        for policy, paths in enumerate(self._container.unique_keys):
            # "If a unique path is missing, its value is null": Unique key constraints, Learn.
            values = [value_at(document, path) for path in paths]
            text = canonical([None if value is UNDEFINED else value for value in values])
            try:
                self._connection.execute(
                    "INSERT INTO unique_values VALUES (?, ?, ?, ?, ?)",
                    (self._container.number, partition, policy, text, number),
                )
            except sqlite3.IntegrityError:
                raise unique_conflict() from None

    def _expiry(self, document: Object, now: int) -> int | None:
        default = self._container.default_ttl
        own = document.get("ttl")
        ttl = own if isinstance(own, int) else default
        return None if default is None or ttl is None or ttl == -1 else now + ttl

    def _find(self, partition: str, name: str) -> sqlite3.Row | None:
        row = self._connection.execute(
            "SELECT * FROM items WHERE container = ? AND partition = ? AND id = ?",
            (self._container.number, partition, name),
        ).fetchone()
        return row if isinstance(row, sqlite3.Row) else None

    def _get(self, partition: str, name: str) -> sqlite3.Row:
        row = self._find(partition, name)
        if row is None:
            raise not_found()
        return row

    def _document(self, row: sqlite3.Row) -> Object:
        own = rid(self._container.database_number, self._container.number, row["number"])
        return {
            **json.loads(row["body"]),
            "_rid": own,
            "_self": f"{self._container.body['_self']}docs/{own}/",
            "_etag": row["etag"],
            "_attachments": "attachments/",
            "_ts": row["ts"],
        }


def value_at(document: object, path: Path) -> object:
    """The value at a path, or UNDEFINED."""
    for part in path:
        if not isinstance(document, dict) or part not in document:
            return UNDEFINED
        document = document[part]
    return document


def canonical(value: object) -> str:
    """JSON in which equal values are equal texts: 1 and 1.0 too."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(value, dict):
        pairs = (f"{json.dumps(key)}:{canonical(value[key])}" for key in sorted(value))
        return "{" + ",".join(pairs) + "}"
    elif isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return json.dumps(value)


def partition_text(values: Sequence[object]) -> str:
    """Values of a partition key as the one text under which their items lie."""
    return canonical([{} if value is UNDEFINED else value for value in values])


def epk_of(partition: str) -> str:
    """The hash of a partition's text."""
    values: list[Json] = json.loads(partition)
    return effective_key([UNDEFINED if value == {} else value for value in values])


def _text(document: Object) -> str:
    return json.dumps({key: value for key, value in document.items() if key not in _SYSTEM})


def _check_match(row: sqlite3.Row, if_match: str | None) -> None:
    if if_match not in (None, "*", row["etag"]):
        raise precondition_failed()
