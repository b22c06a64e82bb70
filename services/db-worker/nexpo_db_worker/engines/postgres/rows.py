"""A table and its rows as PostgreSQL has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from nexpo_db_worker.capabilities.rows import Row, Values, read_row
from nexpo_db_worker.capabilities.table import Table, Type


def table_name(table: Table) -> str:
    """Its name in the database."""
    return f"nexpo_{table.name}"


def parameter(table: Table, column: str, number: int) -> str:
    """A column's value in a statement."""
    return f"${number}::jsonb" if table.types[column] is Type.JSON else f"${number}"


def parameters(table: Table, columns: Iterable[str], values: Values) -> list[object]:
    """The columns' values as the driver takes them."""
    return [_written(table.types[column], values[column]) for column in columns]


def read(table: Table, record: Mapping[str, Any]) -> Row:
    """A row that has `id` and every column."""
    return read_row(table, record["id"], record, {Type.JSON: json.loads})


def _written(kind: Type, value: object) -> object:
    if kind is Type.JSON and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return value
