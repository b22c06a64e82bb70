"""protobuf's Struct as plain JSON and back; exact both ways."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

Json: TypeAlias = bool | float | str | Sequence["Json"] | Mapping[str, "Json"] | None


# Not json_format: it turns whole doubles into integers, which overflow in BSON.
def plain_struct(struct: Struct) -> dict[str, Json]:
    """A Struct as plain JSON."""
    return {key: _plain(struct.fields[key]) for key in sorted(struct.fields)}


def _plain(value: Value) -> Json:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "struct_value":
            return plain_struct(value.struct_value)
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case _:
            return None


def struct_of(plain: Mapping[str, Json]) -> Struct:
    """Plain JSON as a Struct. Raises: ValueError, TypeError, OverflowError: It is none."""
    return Struct(fields={key: _value(item) for key, item in plain.items()})


def _value(plain: Json) -> Value:
    match plain:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=plain)
        case int() | float():
            if not math.isfinite(plain):
                raise ValueError("JSON has no such number")
            return Value(number_value=plain)
        case str():
            return Value(string_value=plain)
        case Mapping():
            return Value(struct_value=struct_of(plain))
        case list() | tuple():
            return Value(list_value=ListValue(values=[_value(item) for item in plain]))
        case _:
            raise TypeError("no value of JSON")
