"""JSON into messages, with every mistake named by its path and in plain words.

json_format alone stops at the first mistake and says it in terms of Python; so
the JSON is walked beside the descriptors first. Source: the JSON mapping of
proto3.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from nexpo import registry
from nexpo_runtime.errors import FieldViolation

from ..content.json_content import json_problems
from ..content.validation import MOST_VIOLATIONS, invalid
from .json_scalars import scalar_problem
from .json_text import Json, not_json, shown

# What json_format reads letter by letter: times, durations, masks.
_LONGEST_SPELLING = 10_000

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
        raise not_json("a value does not fit its field") from None


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
            found = list(islice(json_problems(value, path), MOST_VIOLATIONS))
            if found:
                yield from found
                return
        if kind.full_name.startswith("google.protobuf."):
            if not _parses(value, kind.full_name):
                yield FieldViolation(path, _WELL_KNOWN.get(kind.full_name, "has the wrong type"))
        else:
            yield from _mistakes(value, kind, path)
        return
    problem = scalar_problem(value, field)
    if problem:
        yield FieldViolation(path, problem)


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
