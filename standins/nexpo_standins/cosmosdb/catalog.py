"""Databases and containers."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from nexpo_standins.cosmosdb.disk import Disk, new_etag, rid
from nexpo_standins.cosmosdb.refusals import (
    Refusal,
    bad_request,
    id_conflict,
    not_found,
    precondition_failed,
)

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = dict[str, Json]
Path: TypeAlias = tuple[str, ...]

_FORBIDDEN = re.compile(r"[/\\?#]")
_DEFAULT_INDEXING: Object = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": '/"_etag"/?'}],
}


@dataclass(frozen=True)
class Container:
    """A container and what its items must obey.

    Attributes:
        partition_paths: One path a level: (("tenant",),).
        unique_keys: One tuple of paths per constraint.
        default_ttl: Seconds; -1 for items' own only; None when time to live is off.
    """

    database_number: int
    number: int
    link: str
    body: Object
    partition_paths: tuple[Path, ...]
    unique_keys: tuple[tuple[Path, ...], ...]
    default_ttl: int | None

    @property
    def rid(self) -> str:
        """The container's resource id."""
        return rid(self.database_number, self.number)


def check_id(value: object) -> str:
    """The value, if it can be the id of a resource."""
    if not isinstance(value, str) or not value:
        raise bad_request("The input content is invalid because the required property 'id'.")
    if _FORBIDDEN.search(value) or value.endswith(" ") or len(value.encode()) > 1023:
        raise bad_request("Id contains illegal chars or is too long.")
    return value


class Catalog:
    """What the account holds."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def create_database(self, body: Object) -> Object:
        """Makes a database."""
        name = check_id(body.get("id"))
        with self._disk.transaction() as connection:
            values = (name, new_etag(self._disk.tick()), int(time.time()))
            try:
                connection.execute("INSERT INTO databases (id, etag, ts) VALUES (?, ?, ?)", values)
            except sqlite3.IntegrityError:
                raise id_conflict() from None
        return self.database(name)

    def database(self, name: str) -> Object:
        """Reads a database."""
        return _database_body(self._database_row(name, 0))

    def databases(self) -> list[Json]:
        """All databases."""
        rows = self._disk.connection.execute("SELECT * FROM databases ORDER BY id")
        return [_database_body(row) for row in rows]

    def delete_database(self, name: str) -> None:
        """Deletes a database and what it holds."""
        number = self._database_row(name, 0)["number"]
        with self._disk.transaction() as connection:
            connection.execute("DELETE FROM databases WHERE number = ?", (number,))

    def create_container(self, database: str, body: Object) -> Container:
        """Makes a container."""
        owner = self._database_row(database, 1003)
        name = check_id(body.get("id"))
        full: Object = {"indexingPolicy": _DEFAULT_INDEXING, **body}
        policy = full["indexingPolicy"]
        if isinstance(policy, dict):
            full["indexingPolicy"] = {**_DEFAULT_INDEXING, **policy}
        _parse("", owner["number"], 0, full)
        with self._disk.transaction() as connection:
            text, etag = json.dumps(full), new_etag(self._disk.tick())
            values = (owner["number"], name, text, etag, int(time.time()))
            try:
                connection.execute(
                    "INSERT INTO containers (database, id, body, etag, ts) VALUES (?, ?, ?, ?, ?)",
                    values,
                )
            except sqlite3.IntegrityError:
                raise id_conflict() from None
        return self.container(database, name)

    def container(self, database: str, name: str, substatus: int = 0) -> Container:
        """Reads a container; `substatus` is that of the 404."""
        owner = self._database_row(database, substatus)
        row = self._disk.connection.execute(
            "SELECT * FROM containers WHERE database = ? AND id = ?", (owner["number"], name)
        ).fetchone()
        if row is None:
            raise not_found(substatus)
        own_rid = rid(owner["number"], row["number"])
        system = {
            "_rid": own_rid,
            "_self": f"dbs/{rid(owner['number'])}/colls/{own_rid}/",
            "_etag": row["etag"],
            "_ts": row["ts"],
            "_docs": "docs/",
            "_sprocs": "sprocs/",
            "_triggers": "triggers/",
            "_udfs": "udfs/",
            "_conflicts": "conflicts/",
        }
        body = {**json.loads(row["body"]), **system}
        return _parse(f"dbs/{database}/colls/{name}", owner["number"], row["number"], body)

    def containers(self, database: str) -> list[Json]:
        """All containers of a database."""
        number = self._database_row(database, 1003)["number"]
        rows = self._disk.connection.execute(
            "SELECT id FROM containers WHERE database = ? ORDER BY id", (number,)
        ).fetchall()
        return [self.container(database, row["id"]).body for row in rows]

    def replace_container(
        self, database: str, name: str, body: Object, if_match: str | None
    ) -> Container:
        """Changes what may change: the indexing policy and the time to live."""
        before = self.container(database, name)
        if if_match not in (None, "*", before.body["_etag"]):
            raise precondition_failed()
        if body.get("id") != name:
            raise bad_request("The id of a container cannot be changed.")
        kept = {key: value for key, value in body.items() if not key.startswith("_")}
        after = _parse("", 0, 0, kept)
        if after.partition_paths != before.partition_paths:
            raise bad_request("Document collection partition key cannot be changed.")
        if after.unique_keys != before.unique_keys:  # left out counts as changed
            raise Refusal(
                403,
                "The unique index cannot be modified. To change the unique index, remove the"
                " collection and re-create a new one.",
            )
        with self._disk.transaction() as connection:
            connection.execute(
                "UPDATE containers SET body = ?, etag = ?, ts = ? WHERE number = ?",
                (json.dumps(kept), new_etag(self._disk.tick()), int(time.time()), before.number),
            )
        return self.container(database, name)

    def delete_container(self, database: str, name: str) -> None:
        """Deletes a container and its items."""
        number = self.container(database, name).number
        with self._disk.transaction() as connection:
            connection.execute("DELETE FROM containers WHERE number = ?", (number,))

    def _database_row(self, name: str, substatus: int) -> sqlite3.Row:
        row = self._disk.connection.execute(
            "SELECT * FROM databases WHERE id = ?", (name,)
        ).fetchone()
        if row is None:
            raise not_found(substatus)
        assert isinstance(row, sqlite3.Row)
        return row


def _database_body(row: sqlite3.Row) -> Object:
    own = rid(row["number"])
    return {
        "id": row["id"],
        "_rid": own,
        "_self": f"dbs/{own}/",
        "_etag": row["etag"],
        "_colls": "colls/",
        "_users": "users/",
        "_ts": row["ts"],
    }


def _parse(link: str, database_number: int, number: int, body: Object) -> Container:
    key = body.get("partitionKey")
    paths = key.get("paths") if isinstance(key, dict) else None
    if not isinstance(key, dict) or not isinstance(paths, list) or not 1 <= len(paths) <= 3:
        raise bad_request("The partition key definition has no paths.")
    if key.get("version") != 2 or key.get("kind") not in ("Hash", "MultiHash"):
        raise bad_request("This stand-in knows partition keys of version 2 only.")
    ttl = body.get("defaultTtl")
    if ttl is not None and (not isinstance(ttl, int) or ttl == 0 or ttl < -1):
        raise bad_request("The defaultTtl must be -1 or a positive number of seconds.")
    return Container(
        database_number=database_number,
        number=number,
        link=link,
        body=body,
        partition_paths=tuple(_path(path) for path in paths),
        unique_keys=_unique_keys(body.get("uniqueKeyPolicy")),
        default_ttl=ttl,
    )


def _unique_keys(policy: Json) -> tuple[tuple[Path, ...], ...]:
    keys = policy.get("uniqueKeys") if isinstance(policy, Mapping) else None
    if keys is None:
        return ()
    if not isinstance(keys, list) or len(keys) > 10:
        raise bad_request("At most 10 unique key constraints are allowed.")
    found = []
    for key in keys:
        paths = key.get("paths") if isinstance(key, dict) else None
        if not isinstance(paths, list) or not 1 <= len(paths) <= 16:
            raise bad_request("A unique key has 1 to 16 paths.")
        found.append(tuple(_path(path) for path in paths))
    return tuple(found)


def _path(text: Json) -> Path:
    if not isinstance(text, str) or not text.startswith("/") or len(text) < 2:
        raise bad_request(f"The path {text!r} is not one.")
    return tuple(part.strip('"') for part in text[1:].split("/"))
