"""Rows as documents of MongoDB.

A live document has `live: true`, which the partial unique indexes ask for; a tombstone has
nothing but tenant, key and removed_time. BSON dates end at the millisecond, so times are kept
as microseconds since 1970, under the column's name and `_us`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Int64

from nexpo_db_worker.capabilities.rows import Row, Values, read_row
from nexpo_db_worker.capabilities.table import Table, Type

Document = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def field_of(table: Table, column: str) -> str:
    """The name that a column has in documents."""
    return f"{column}_us" if table.types[column] is Type.TIME else column


def document(table: Table, values: Values) -> Document:
    """The fields of some columns."""
    return {
        field_of(table, column): microseconds(value) if isinstance(value, datetime) else value
        for column, value in values.items()
    }


def read(table: Table, found: Mapping[str, Any]) -> Row:
    """The row of a live document."""
    fields = {column: field_of(table, column) for column in table.names}
    raw = {column: found[field] for column, field in fields.items() if field in found}
    return read_row(table, found["_id"], raw, {Type.TIME: _moment})


def live(tenant: str, **fields: str) -> Document:
    """A filter for live documents."""
    return {"tenant": tenant, "live": True, **fields}


def microseconds(moment: datetime) -> Int64:
    """A time as it is kept."""
    return Int64((moment - _EPOCH) // _MICROSECOND)


def _moment(micros: Any) -> datetime:
    moment: datetime = _EPOCH + micros * _MICROSECOND
    return moment
