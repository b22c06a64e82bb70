"""Decides about one item; and the order of items.

A comparison of values of different types, or with a missing one, is neither true nor
false but undefined, and so are AND, OR and NOT of it where it matters; an item is found
only when the condition is true. ("Undefined" in the NoSQL query language, Learn.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nexpo_standins.cosmosdb.catalog import Object
from nexpo_standins.cosmosdb.items import canonical, value_at
from nexpo_standins.cosmosdb.partition_hash import UNDEFINED
from nexpo_standins.cosmosdb.query.syntax import (
    Call,
    Comparison,
    Constant,
    Expression,
    In,
    Logic,
    Not,
    Order,
    Property,
    Query,
)


def matches(query: Query, document: Object) -> bool:
    """Whether the item fulfils WHERE."""
    return query.where is None or evaluate(query.where, document) is True


def required_texts(query: Query) -> list[str]:
    """Texts that an item must have somewhere to fulfil WHERE: those that properties equal.

    What the service adds to an item ("_etag") is not among its texts.
    """
    where = query.where
    parts = where.operands if isinstance(where, Logic) and where.operator == "AND" else (where,)
    found = []
    for part in parts:
        match part:
            case Comparison("=", Property((str(first), *_)), Constant(str(text))):
                found += [] if first.startswith("_") else [text]
    return found


def project(query: Query, document: Object) -> object:
    """What SELECT makes of the item; UNDEFINED when that is nothing."""
    if query.value is not None:
        return evaluate(query.value, document)
    if not query.columns:
        return document
    values = {name: evaluate(expression, document) for name, expression in query.columns}
    return {name: value for name, value in values.items() if value is not UNDEFINED}


def evaluate(expression: Expression, document: Object) -> object:
    """The expression's value for the item, or UNDEFINED."""
    match expression:
        case Constant(value):
            return value
        case Property(path):
            return value_at(document, path)
        case Not(operand):
            value = evaluate(operand, document)
            return not value if isinstance(value, bool) else UNDEFINED
        case Logic(operator, operands):
            return _logic(operator, (evaluate(operand, document) for operand in operands))
        case Comparison(operator, left, right):
            return compare(operator, evaluate(left, document), evaluate(right, document))
        case In(operand, choices):
            value = evaluate(operand, document)
            if value is UNDEFINED:
                return UNDEFINED
            return any(compare("=", value, evaluate(c, document)) is True for c in choices)
        case Call(name, arguments):
            return _call(name, [evaluate(argument, document) for argument in arguments])


def compare(operator: str, left: object, right: object) -> object:
    """True, False or UNDEFINED."""
    rank = _rank(left)
    if rank != _rank(right) or left is UNDEFINED:
        return UNDEFINED
    if operator in ("=", "!="):
        return (canonical(left) == canonical(right)) is (operator == "=")
    if rank > _rank(""):  # arrays and objects have no order
        return UNDEFINED
    order = order_of(left, right)
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator]


def order_of(left: object, right: object) -> int:
    """-1, 0 or 1: undefined, null, booleans, numbers, strings by code point, the rest."""
    if _rank(left) != _rank(right):
        return -1 if _rank(left) < _rank(right) else 1
    match left, right:
        case (bool() | int() | float(), bool() | int() | float()):
            return (left > right) - (left < right)
        case (str(), str()):
            return (left > right) - (left < right)
    return 0


def compare_keys(order: Sequence[Order], left: Sequence[object], right: Sequence[object]) -> int:
    """The order of two items by their values of ORDER BY."""
    for key, one, other in zip(order, left, right, strict=True):
        sign = order_of(one, other)
        if sign:
            return -sign if key.descending else sign
    return 0


def keys_of(order: Sequence[Order], document: Object) -> list[object]:
    """An item's values of ORDER BY."""
    return [value_at(document, key.path) for key in order]


def _rank(value: object) -> int:
    match value:
        case None:
            return 1
        case bool():
            return 2
        case int() | float():
            return 3
        case str():
            return 4
        case list():
            return 5
        case dict():
            return 6
        case _:
            return 0


def _logic(operator: str, values: Iterable[object]) -> object:
    decisive = operator == "OR"
    result: object = not decisive
    for value in values:
        if value is decisive:
            return decisive
        if not isinstance(value, bool):
            result = UNDEFINED
    return result


def _call(name: str, values: list[object]) -> object:
    first, last = values[0], values[-1]
    match name:
        case "IS_DEFINED":
            return first is not UNDEFINED
        case "IS_NULL":
            return first is None
        case "ARRAY_CONTAINS":
            if not isinstance(first, list):
                return UNDEFINED
            return any(compare("=", item, last) is True for item in first)
    if not isinstance(first, str) or not isinstance(last, str):
        return UNDEFINED
    return first.startswith(last) if name == "STARTSWITH" else last in first
