"""Rows as PostgREST has them, and its way to write values into queries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from nexpo_db_worker.capabilities.rows import Row, Values, read_row
from nexpo_db_worker.capabilities.table import Table, Type

Json = dict[str, Any]


def fields(values: Values) -> Json:
    """Columns as the API takes them."""
    return {
        column: value.isoformat() if isinstance(value, datetime) else value
        for column, value in values.items()
    }


def read(table: Table, found: Json) -> Row:
    """A row of every column."""
    return read_row(table, found["id"], found, {Type.TIME: datetime.fromisoformat})


def quoted(value: str) -> str:
    """A value inside PostgREST's lists and conditions, where commas and dots count."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def rows(data: object) -> list[Json]:
    """The rows of an answer."""
    return [dict(row) for row in data if isinstance(row, dict)] if isinstance(data, list) else []
