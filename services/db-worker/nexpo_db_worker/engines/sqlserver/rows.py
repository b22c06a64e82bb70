"""A table and its rows as SQL Server has them.

The statements are T-SQL for SQL Server 2019 and later and for Azure SQL.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytds

from nexpo_db_worker.capabilities.rows import Row as TableRow
from nexpo_db_worker.capabilities.rows import Values, read_row
from nexpo_db_worker.capabilities.table import Table, Type
from nexpo_db_worker.engines.sqlserver.connection import Row
from nexpo_db_worker.engines.sqlserver.errors import is_duplicate, names


def table_name(table: Table) -> str:
    """Its name in the database."""
    return f"dbo.nexpo_{table.name}"


def is_live(table: Table) -> str:
    """The condition that finds the live row of %(tenant)s that %(name)s identifies."""
    return f"tenant = %(tenant)s AND {table.id} = %(name)s AND tombstone = 0"


def parameters(table: Table, values: Values) -> dict[str, object]:
    """Values as the driver takes them, under names that are no others' parameters."""
    return {f"c_{one}": _written(table.types[one], value) for one, value in values.items()}


def places(columns: Iterable[str]) -> list[str]:
    """What stands for `parameters` in a statement."""
    return [f"%(c_{column})s" for column in columns]


def read(table: Table, row: Row) -> TableRow:
    """A row of `id` and every column, in this order."""
    own_id, *values = row
    raw = dict(zip(table.names, values, strict=True))
    return read_row(table, own_id, raw, {Type.TIME: _aware, Type.JSON: json.loads})


def naive(moment: datetime) -> datetime:
    """A time as the driver takes it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def taken_column(table: Table, error: pytds.DatabaseError) -> str:
    """The column whose index refused a row; "" when it was the key's.

    Raises:
        pytds.DatabaseError: It is another error.
    """
    if is_duplicate(error):
        for column in (*table.keys, "key"):
            if names(error, f"nexpo_{table.name}_{column}"):
                return "" if column == "key" else column
    raise error


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _written(kind: Type, value: Any) -> object:
    match kind:
        case Type.JSON if value is not None:
            return json.dumps(value, ensure_ascii=False)
        case Type.TIME if value is not None:
            return naive(value)
    return value
