"""JSON into messages, with every mistake named by its path and in plain words.

json_format alone stops at the first mistake and says it in terms of Python; so
the JSON is walked beside the descriptors first. Source: the JSON mapping of
proto3.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from nexpo import registry
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

from ..content.elements import too_many_elements
from ..content.limits import (
    LIMITS,
    NOT_FINITE,
    TOO_DEEP,
    inside,
    name_problem,
    number_problem,
    text_problem,
)
from ..content.validation import MOST_VIOLATIONS, invalid
from .json_shape import shape_of

Json = dict[str, Any]

# Every double has a spelling of 25 characters; reading digits takes longer than their number.
_LONGEST_NUMBER = 400
# What json_format reads letter by letter: times, durations, masks.
_LONGEST_SPELLING = 10_000

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
_OF_ANY_JSON = frozenset(f"google.protobuf.{name}" for name in ("Struct", "ListValue", "Value"))
_WELL_KNOWN = {
    "google.protobuf.Timestamp": "must be a time such as 2026-01-31T09:00:00Z",
    "google.protobuf.Duration": 'must be seconds such as "3.5s"',
    "google.protobuf.FieldMask": 'must be field names such as "displayName,profile.locale"',
    "google.protobuf.Struct": "must be an object",
    "google.protobuf.ListValue": "must be a list",
    "google.protobuf.Value": "must be a JSON value",
    "google.protobuf.Any": 'must be an object with a known "@type"',
    "google.protobuf.Empty": "must be an empty object",
}
# What json_format raises for a value; OverflowError for a whole number that no double holds.
_UNFIT = (json_format.ParseError, ValueError, TypeError, AttributeError, ArithmeticError)
_OF_ANY_TEXT = (
    "google.protobuf.Value",
    "google.protobuf.StringValue",
    "google.protobuf.BytesValue",
)


def read_json(body: bytes) -> object:
    """The body as JSON.

    Raises:
        Fault: INVALID_ARGUMENT: it is not JSON; says where. MESSAGE_TOO_LARGE: it
            has too many names and items.
    """
    shape = shape_of(body)
    if shape.too_deep:
        raise _not_json("it is nested too deeply")
    if shape.too_many:
        raise too_many_elements()
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise _not_json(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _not_json("it is nested too deeply") from None
    except ValueError as error:
        raise _not_json(
            error.args[0] if isinstance(error, _Refused) else "a value cannot be read"
        ) from None


def to_message(data: Json, message: type[Message]) -> Message:
    """The message that the JSON object describes.

    Raises:
        Fault: INVALID_ARGUMENT, with a violation for every mistake.
    """
    mistakes = _mistakes(data, descriptor_of(message), "")
    if (first := next(mistakes, None)) is not None:
        raise invalid(chain([first], mistakes))
    try:
        return json_format.ParseDict(data, message())
    except _UNFIT:
        # What the walk has missed; its text is json_format's own, so it stays here.
        raise _not_json("a value does not fit its field") from None


def descriptor_of(message: type[Message]) -> Descriptor:
    """The message's descriptor, which the stubs type in two ways."""
    return cast(Descriptor, message.DESCRIPTOR)


def find_field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    """The field of a name, as in JSON or as in the proto."""
    camel = descriptor.fields_by_camelcase_name.get(name)
    return camel or descriptor.fields_by_name.get(name)


def _mistakes(data: object, descriptor: Descriptor, path: str) -> Iterator[FieldViolation]:
    if not isinstance(data, dict):
        yield FieldViolation(path, "must be an object")
        return
    seen: set[str] = set()
    for name, value in data.items():
        field = find_field(descriptor, name)
        here = _join(path, field.name if field else shown(name))
        if field is None:
            yield FieldViolation(here, f"is not a field of {descriptor.name}")
        elif field.name in seen:
            yield FieldViolation(here, "is given twice")
        elif value is not None:
            yield from _value_mistakes(value, field, here)
        if field is not None:
            seen.add(field.name)


def _value_mistakes(value: object, field: FieldDescriptor, path: str) -> Iterator[FieldViolation]:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        if not isinstance(value, dict):
            yield FieldViolation(path, "must be an object")
            return
        for key, item in value.items():
            yield from _one_mistake(item, kind.fields_by_name["value"], f'{path}["{shown(key)}"]')
    elif field.is_repeated:
        if not isinstance(value, list):
            yield FieldViolation(path, "must be a list")
            return
        for index, item in enumerate(value):
            yield from _one_mistake(item, field, f"{path}[{index}]")
    else:
        yield from _one_mistake(value, field, path)


def _one_mistake(value: object, field: FieldDescriptor, path: str) -> Iterator[FieldViolation]:
    kind = field.message_type
    if kind is not None:
        if kind.full_name in _OF_ANY_JSON:
            found = list(islice(_content_mistakes(value, path), MOST_VIOLATIONS))
            if found:
                yield from found
                return
        if kind.full_name.startswith("google.protobuf."):
            if not _parses(value, kind.full_name):
                yield FieldViolation(path, _WELL_KNOWN.get(kind.full_name, "has the wrong type"))
        else:
            yield from _mistakes(value, kind, path)
        return
    problem = _scalar_problem(value, field)
    if problem:
        yield FieldViolation(path, problem)


def _content_mistakes(value: object, path: str, depth: int = 0) -> Iterator[FieldViolation]:
    """What a Struct cannot hold, seen before its numbers become doubles and its texts UTF-8."""
    if isinstance(value, dict | list) and depth >= LIMITS.struct_levels:
        yield FieldViolation(path, TOO_DEEP)
    elif isinstance(value, dict):
        for name, item in value.items():
            here = inside(path, name)
            problem = name_problem(name)
            if problem:
                yield FieldViolation(here, problem)
            yield from _content_mistakes(item, here, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _content_mistakes(item, f"{path}[{index}]", depth + 1)
    else:
        problem = ""
        if isinstance(value, str):
            problem = text_problem(value, multiline=True)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            problem = number_problem(value)
        if problem:
            yield FieldViolation(path, problem)


def _scalar_problem(value: object, field: FieldDescriptor) -> str:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return "" if isinstance(value, bool) else "must be true or false"
        case FieldDescriptor.CPPTYPE_ENUM:
            return _enum_problem(value, field)
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return "" if _is_base64(value) else "must be base64"
        case FieldDescriptor.CPPTYPE_STRING:
            return _text_problem(value)
        case kind if kind in _FLOATS:
            return "" if _is_float(value) else NOT_FINITE
        case kind:
            low, high = _INTEGERS[kind]
            number = _whole(value)
            if number is None:
                return "must be a whole number"
            return "" if low <= number <= high else f"must be between {low} and {high}"


def _enum_problem(value: object, field: FieldDescriptor) -> str:
    assert field.enum_type is not None
    names = [entry.name for entry in field.enum_type.values]
    if isinstance(value, str) and value in names:
        return ""
    number = _whole(value) if not isinstance(value, str) else None
    if number is not None and -(2**31) <= number < 2**31:
        return ""  # An unknown number is for the field's own rules to refuse.
    return f"must be one of {', '.join(names)}"


def _text_problem(value: object) -> str:
    if not isinstance(value, str):
        return "must be a text"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return ""


def _is_base64(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        padded = value + "=" * (-len(value) % 4)
        base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_float(value: object) -> bool:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False


def _whole(value: object) -> int | None:
    if isinstance(value, str):
        digits = value.removeprefix("-")
        return int(value) if digits.isascii() and digits.isdigit() and len(digits) < 21 else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parses(value: Any, full_name: str) -> bool:
    if isinstance(value, str) and len(value) > _LONGEST_SPELLING and full_name not in _OF_ANY_TEXT:
        return False
    message: Message = registry.message_class(full_name)()
    try:
        json_format.ParseDict(value, message)
    except _UNFIT:
        return False
    return True


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def shown(name: str) -> str:
    """A name of the caller's own, cut and made harmless for an error text."""
    return name[:64].encode("ascii", "backslashreplace").decode()


class _Refused(ValueError):
    """A value that is no JSON, though Python reads it."""


def _refuse_constant(constant: str) -> object:
    raise _Refused(f"{constant} is no JSON value")


def _unique(pairs: list[tuple[str, object]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Refused(f'"{shown(name)}" is given twice')
            seen.add(name)
    return found


def _integer(digits: str) -> int:
    return int(_short(digits))


def _float(digits: str) -> float:
    return float(_short(digits))


def _short(digits: str) -> str:
    if len(digits) > _LONGEST_NUMBER:
        raise _Refused("a number is too long")
    return digits


def _not_json(where: str) -> Fault:
    return Fault(Reason.REASON_INVALID_ARGUMENT, f"The body cannot be read as JSON: {where}.")
