"""Rows as they are read; one that cannot be read is shown by its id and costs no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.table import Table, Type
from nexpo_runtime.telemetry.metrics import UNREADABLE

T = TypeVar("T")
Values = Mapping[str, Any]
"""By column: str, datetime with a zone, dict of plain JSON, or None; see Type."""

_REPEAT_S = 60.0
_log = logging.getLogger(__name__)
_logged: dict[tuple[str, str], float] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: keyset over the table's order and id."""

    time: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Row:
    """A live row.

    Attributes:
        own_id: The database's own id of it (bigint, ObjectId, ...).
        values: Its values; empty when they cannot be read.
        name: What identifies it in the table, or `own_id` where that is no text.
        place: Its place in pages, where that is known.
        error: Why it cannot be read.
    """

    own_id: str
    values: Values
    name: str
    place: Place | None = None
    error: Exception | None = field(default=None, compare=False)


def new_row(table: Table, own_id: str, values: Values) -> Row:
    """A row that was just written."""
    return Row(own_id, values, values[table.id], _place(table, values))


def read_row(
    table: Table, own_id: object, raw: Mapping[str, Any], read: Mapping[Type, Callable[[Any], Any]]
) -> Row:
    """What a database has of a row.

    Rows are written by this service, and by people and other programs past it.

    Args:
        table: The row's.
        own_id: The database's own id.
        raw: The columns as the driver gives them.
        read: Makes of a driver's value what Type says, where that is another.
    """
    name = raw.get(table.id)
    name = name if isinstance(name, str) else str(own_id)
    place = None
    try:
        if table.order:
            keys = (table.order, table.id)
            place = _place(table, {key: _value(table.types[key], raw[key], read) for key in keys})
        values = {key: _value(kind, raw[key], read) for key, kind in table.types.items()}
    except Exception as error:  # whatever a planted value makes of it: nothing here does I/O
        return Row(str(own_id), {}, name, place, error)
    return Row(str(own_id), values, name, place)


def readable(origin: Origin, row: Row, make: Callable[[Values], T]) -> T | None:
    """What is made of the row's values; None, logged and counted, when it cannot be read.

    Args:
        origin: Where the row is.
        row: The row.
        make: May raise anything: then the row counts as unreadable.
    """
    try:
        if row.error is not None:
            raise row.error
        return make(row.values)
    except Exception as error:
        _report(origin, row.own_id, error)
        return None


def _value(kind: Type, raw: Any, read: Mapping[Type, Callable[[Any], Any]]) -> Any:
    if raw is None:
        return None
    value = read[kind](raw) if kind in read else raw
    match kind:
        case Type.TEXT if not isinstance(value, str):
            raise TypeError("not a text")
        case Type.TIME if not isinstance(value, datetime) or value.tzinfo is None:
            raise TypeError("not a time")
        case Type.JSON if not isinstance(value, dict):
            raise TypeError("not an object")
    return value


def _place(table: Table, values: Values) -> Place | None:
    if not table.order or values[table.order] is None or values[table.id] is None:
        return None
    return Place(values[table.order], values[table.id])


def _report(origin: Origin, own_id: str, error: Exception) -> None:
    """Counts it, and logs it once a minute; without the error's text, which may quote the row."""
    UNREADABLE.labels(origin.id).inc()
    now = time.monotonic()
    if now - _logged.get((origin.id, own_id), -_REPEAT_S) >= _REPEAT_S:
        if len(_logged) > 1000:
            _logged.clear()
        _logged[origin.id, own_id] = now
        kind = type(error).__name__
        _log.error("a record cannot be read: %s, id %s, %s", origin.id, own_id, kind)
