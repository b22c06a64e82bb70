"""An HTTP request into its message: path, query and body, as google.api.http says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from nexpo_runtime.errors import FieldViolation

from ..content.validation import invalid
from .json_requests import descriptor_of, find_field, to_message
from .json_text import Json, read_json, shown
from .paths import Matched

_OF_TEXT = ("google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask")


def assemble(matched: Matched, query: Iterable[tuple[str, str]], body: bytes) -> Message:
    """The message that a request stands for.

    Raises:
        Fault: INVALID_ARGUMENT, with a violation for every mistake of one kind.
    """
    descriptor = descriptor_of(matched.route.rpc.request)
    data = _from_body(matched, descriptor, body)
    _add_query(data, descriptor, matched, query)
    _add_path(data, descriptor, matched.values)
    return to_message(data, matched.route.rpc.request)


def _from_body(matched: Matched, descriptor: Descriptor, body: bytes) -> Json:
    field = matched.route.body
    if not field:
        # Many clients send an empty object with a DELETE; nothing may hide in it.
        if body.strip() not in (b"", b"{}"):
            raise invalid([FieldViolation("", "this request has no body")])
        return {}
    content = read_json(body) if body.strip() else {}
    if field != "*":
        return {field: content}
    if not isinstance(content, dict):
        raise invalid([FieldViolation("", "the body must be an object")])
    return content


def _add_query(
    data: Json, descriptor: Descriptor, matched: Matched, query: Iterable[tuple[str, str]]
) -> None:
    values: dict[str, list[str]] = {}
    for name, value in query:
        values.setdefault(name, []).append(value)
    violations: list[FieldViolation] = []
    for name, given in values.items():
        if matched.route.body == "*":
            violations.append(FieldViolation(shown(name), "belongs into the body"))
            continue
        path = _resolve(descriptor, name)
        if path is None:
            violations.append(FieldViolation(shown(name), "is not a field that a query can give"))
            continue
        leaf = path[-1]
        if len(given) > 1 and not leaf.is_repeated:
            violations.append(FieldViolation(_dotted(path), "is given twice"))
            continue
        converted = [_from_text(leaf, value) for value in given]
        _put(data, path, converted if leaf.is_repeated else converted[0])
    if violations:
        raise invalid(violations)


def _add_path(data: Json, descriptor: Descriptor, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        path = _resolve(descriptor, name)
        assert path is not None, f"the contract's template names no field: {name}"
        present = _get(data, path)
        if present not in (None, "", value):
            raise invalid([FieldViolation(_dotted(path), "differs from the path")])
        _put(data, path, _from_text(path[-1], value))


def _resolve(descriptor: Descriptor, name: str) -> list[FieldDescriptor] | None:
    """The fields along a dotted name, when the last can be given as a text."""
    path: list[FieldDescriptor] = []
    at: Descriptor | None = descriptor
    for part in name.split("."):
        field = find_field(at, part) if at is not None else None
        if field is None or (path and path[-1].is_repeated):
            return None
        path.append(field)
        at = field.message_type
    last = path[-1].message_type
    return path if last is None or last.full_name in _OF_TEXT else None


def _from_text(field: FieldDescriptor, value: str) -> object:
    """A text of path or query as JSON would have it; what does not fit stays a text."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL and value in ("true", "false"):
        return value == "true"
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM and value.removeprefix("-").isdecimal():
        return int(value) if len(value) < 12 else value
    return value


def _put(data: Json, path: list[FieldDescriptor], value: object) -> None:
    for field in path[:-1]:
        inner = data.setdefault(_own(data, field), {})
        if not isinstance(inner, dict):
            raise invalid([FieldViolation(field.name, "must be an object")])
        data = inner
    data[_own(data, path[-1])] = value


def _get(data: Json, path: list[FieldDescriptor]) -> object:
    value: Any = data
    for field in path:
        value = value.get(_own(value, field)) if isinstance(value, dict) else None
    return cast(object, value)


def _own(data: Json, field: FieldDescriptor) -> str:
    """The spelling of a field's name that the body uses already, or the proto's."""
    return field.json_name if field.json_name in data else field.name


def _dotted(path: list[FieldDescriptor]) -> str:
    return ".".join(field.name for field in path)
