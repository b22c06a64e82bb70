"""The filter of ListOperations: `type="..." AND state="..." AND create_time>"..."`.

A small part of AIP-160: comparisons joined by AND; a value may be quoted.
"""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import UTC, datetime

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault, FieldViolation

from ..content.validation import invalid
from .backend import Criteria

_TERM = re.compile(
    r'\s*(?P<field>[A-Za-z_]+)\s*(?P<operator><=|>=|=|<|>)\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"]+))\s*'
)
_AND = re.compile(r"AND(?=\s)")

_LONGEST = 2000
"""Characters of a filter: it becomes a part of every page token and of Temporal's query."""


def parse_filter(text: str, tenant: str, types: Container[str]) -> Criteria:
    """What the filter asks for. Raises: Fault: INVALID_ARGUMENT, saying what and where.

    Args:
        text: The filter; everything when empty.
        tenant: Whose operations.
        types: The operation types that there are.
    """
    if len(text) > _LONGEST:
        raise _malformed(f"is longer than {_LONGEST} characters")
    wanted_types: list[str] = []
    states: list[Progress.State.ValueType] = []
    created: list[tuple[str, datetime]] = []
    for field, operator, value, position in _terms(text):
        if field == "create_time":
            created.append((operator, _moment(value, position)))
        elif operator != "=":
            raise _malformed(f"{field} can only be compared with '=' (at {position})")
        elif (field == "type" and wanted_types) or (field == "state" and states):
            raise _malformed(f"{field} can be given once (at {position})")
        elif field == "type":
            if value not in types:
                raise _malformed(f"there is no operation type '{value}' (at {position})")
            wanted_types.append(value)
        elif field == "state":
            states.append(_state(value, position))
        else:
            raise _malformed(f"'{field}' is not type, state or create_time (at {position})")
    return Criteria(tenant, wanted_types, states, created)


def _terms(text: str) -> list[tuple[str, str, str, int]]:
    terms: list[tuple[str, str, str, int]] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        if terms:
            joined = _AND.match(text, position)
            if joined is None:
                raise _malformed(f"expected AND at {position}")
            position = joined.end()
        term = _TERM.match(text, position)
        if term is None:
            raise _malformed(f'expected a comparison such as state="RUNNING" at {position}')
        value = term["quoted"] if term["quoted"] is not None else term["bare"]
        terms.append((term["field"], term["operator"], value, position))
        position = term.end()
    return terms


def _state(value: str, position: int) -> Progress.State.ValueType:
    names = [name for name in Progress.State.keys() if name != "STATE_UNSPECIFIED"]  # noqa: SIM118
    if value not in names:
        raise _malformed(f"'{value}' is not a state (at {position}): {', '.join(names)}")
    return Progress.State.Value(value)


def _moment(value: str, position: int) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        # An offset may lead out of the years that there are.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _malformed(
            f"'{value}' is not a time such as 2026-01-31T09:00:00Z (at {position})"
        ) from None


def _malformed(problem: str) -> Fault:
    return invalid([FieldViolation("filter", problem)])
