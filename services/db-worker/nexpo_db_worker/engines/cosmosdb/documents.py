"""Rows and tombstones as items of Cosmos DB.

A row and its fence are one item: its id is the digest of the effect's key. Every
item of a container must have a value at every unique path that no other has, so a
tombstone's are made of its id: they are nobody's address, and no row's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from nexpo_db_worker.capabilities.rows import Row, Values, read_row
from nexpo_db_worker.capabilities.table import Table, Type

Document: TypeAlias = dict[str, Any]


def item_id(key: str) -> str:
    """The id of the item that an effect's key writes: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def fields(values: Values) -> Document:
    """The fields of some columns."""
    return {
        column: time_text(value) if isinstance(value, datetime) else value
        for column, value in values.items()
    }


def tombstone(table: Table, tenant: str, own_id: str) -> Document:
    """What is left of a row."""
    removed = dict.fromkeys(table.keys, f"removed {own_id}")
    return {
        "id": own_id,
        "tenant": tenant,
        **removed,
        "removed_time": time_text(datetime.now(UTC)),
    }


def is_tombstone(document: Mapping[str, Any]) -> bool:
    """Whether the effect was undone."""
    return "removed_time" in document


def read(table: Table, document: Mapping[str, Any]) -> Row:
    """The row of a live item."""
    return read_row(table, document["id"], document, {Type.TIME: datetime.fromisoformat})


def time_text(moment: datetime) -> str:
    """ISO 8601 in UTC, of one width, so that texts compare as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
