"""Requests made of the contract's descriptors: good ones, and what strangers send.

A new RPC is covered by being in the contract. A good value is made from a field's own
rules; a hostile one from its type.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

from buf.validate import validate_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import find, settings
from hypothesis import strategies as st

from nexpo import registry
from nexpo_gateway.contract import ANY_OPERATION, Rpc
from nexpo_gateway.http.json_requests import descriptor_of

from .values import EMAILS, FLOATS, GOOD_STRUCTS, RAW_JSON, SCALARS, STRUCTS, TEXTS, UUIDS, value_of

Path = tuple[FieldDescriptor, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]

_DEEPEST = 3
_OFTEN = 4
_MARK = "\N{REPLACEMENT CHARACTER}"
_OPERATION_FIELDS = ("operation", "name")


def request(rpc: Rpc, draw: Draw) -> Message:
    """A good request."""
    message: Message = _good(descriptor_of(rpc.request), draw, 0)
    for field in descriptor_of(rpc.request).fields:
        if field.name in _OPERATION_FIELDS and field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, _operation(rpc))
    return message


def spoilt(rpc: Rpc, draw: Draw) -> Message:
    """A request with something hostile in one or two of its fields."""
    message = request(rpc, draw)
    paths = _paths(descriptor_of(rpc.request))
    for _ in range(draw(st.integers(1, 2)) if paths else 0):
        _spoil(message, draw(st.sampled_from(paths)), draw)
    return message


def spoilt_json(rpc: Rpc, draw: Draw) -> bytes:
    """The same as JSON, with raw text where the field's value was."""
    message, paths = request(rpc, draw), _paths(descriptor_of(rpc.request))
    if not paths:
        return json.dumps(json_format.MessageToDict(message)).encode()
    return _with_raw(message, draw(st.sampled_from(paths)), draw(st.sampled_from(RAW_JSON)))


def _with_raw(message: Message, path: Path, raw: str) -> bytes:
    plain = json_format.MessageToDict(message)
    *outer, field = path
    inside = plain
    for one in outer:
        inside = inside.setdefault(one.json_name, {})
    inside[field.json_name] = _MARK
    return json.dumps(plain).replace(json.dumps(_MARK), raw).encode()


def sweep(rpc: Rpc) -> Iterator[tuple[str, bytes]]:
    """A good request with each hostile value in each field in turn, and what it is."""
    good = request(rpc, simplest)
    for path in dict.fromkeys(_paths(descriptor_of(rpc.request))):
        for number, value in enumerate(hostile_values(path[-1])):
            message = type(good)()
            message.CopyFrom(good)
            _put(message, path, [value] if path[-1].is_repeated else value)
            label = f"{'.'.join(field.name for field in path)}, {number}"
            yield label, message.SerializeToString()


def sweep_json(rpc: Rpc) -> Iterator[tuple[str, bytes]]:
    """The same as JSON, with each raw text."""
    good = request(rpc, simplest)
    for path in dict.fromkeys(_paths(descriptor_of(rpc.request))):
        for raw in RAW_JSON:
            yield f"{path[-1].name}: {raw[:60]}", _with_raw(good, path, raw)


def simplest(strategy: st.SearchStrategy[Any]) -> Any:
    """The least example."""
    return find(strategy, lambda value: True, settings=settings(database=None))


def _operation(rpc: Rpc) -> str:
    if rpc.kind in ("update", "signal", "query"):
        of = getattr(rpc.rule, rpc.kind).of
        of = "OnboardUser" if of == ANY_OPERATION else of
        package = "nexpo.users.v1" if of == "OnboardUser" else rpc.name.rpartition(".")[0]
        return f"operations/acme~{package}.{of}~some~run"
    return (
        "operations"
        if rpc.method == "ListOperations"
        else ("operations/acme~nexpo.users.v1.OnboardUser~some~run")
    )


def _good(kind: Descriptor, draw: Draw, depth: int) -> Any:
    message = registry.message_class(kind.full_name)()
    for field in kind.fields:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        needed = rules.required or rules.string.min_len or rules.string.uuid
        if depth > _DEEPEST or not (needed or draw(st.booleans())):
            continue
        _set(message, field, _good_value(field, rules, draw, depth))
    return message


def _good_value(field: FieldDescriptor, rules: Any, draw: Draw, depth: int) -> Any:
    if field.is_repeated:
        if field.message_type is not None or field.enum_type is None:
            return []
        allowed = _allowed(field, rules.repeated.items)
        return draw(st.lists(st.sampled_from(allowed), unique=True, max_size=5))
    if field.message_type is not None:
        return _good_message(field.message_type, rules, draw, depth)
    if field.enum_type is not None:
        return draw(st.sampled_from(_allowed(field, rules)))
    if field.type == FieldDescriptor.TYPE_STRING:
        return _good_text(rules.string, draw)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"x"
    return 1


def _good_message(kind: Descriptor, rules: Any, draw: Draw, depth: int) -> Any:
    message: Any = registry.message_class(kind.full_name)()
    match kind.full_name:
        case "google.protobuf.Struct":
            message.CopyFrom(value_of(draw(GOOD_STRUCTS)).struct_value)
        case "google.protobuf.Duration":
            message.seconds = rules.duration.gte.seconds or 30
        case "google.protobuf.FieldMask":
            message.paths.extend(getattr(rules.field_mask, "in") or ["a"])
        case _:
            return _good(kind, draw, depth + 1)
    return message


def _good_text(rules: Any, draw: Draw) -> str:
    if rules.email:
        return f"{draw(st.integers(0, 9))}@example.com"
    if rules.uuid:
        return str(draw(st.uuids()))
    if rules.pattern:
        text: str = draw(st.from_regex(rules.pattern, fullmatch=True))
        return text[: rules.max_len or 30].strip()
    return "long enough a text"[: rules.max_len or 30]


def _allowed(field: FieldDescriptor, rules: Any) -> list[int]:
    assert field.enum_type is not None
    not_in = list(rules.enum.not_in)
    return [value.number for value in field.enum_type.values if value.number not in not_in]


@functools.cache
def _paths(kind: Descriptor, above: Path = ()) -> list[Path]:
    """Every field of a message and of those in it, as often as it can go wrong."""
    paths: list[Path] = []
    for field in kind.fields:
        inner = field.message_type
        here = (*above, field)
        opaque = inner is None or field.is_repeated or inner.full_name.startswith("google.protobuf")
        if inner is not None and not opaque and len(above) < _DEEPEST:
            paths += _paths(inner, here)
        elif inner is None or not inner.GetOptions().map_entry:
            paths += [here] * (_OFTEN if inner is not None else 1)
    return paths


def _spoil(message: Message, path: Path, draw: Draw) -> None:
    field = path[-1]
    count = draw(st.integers(1, 3))
    several = [_hostile(field, draw) for _ in range(count)] if field.is_repeated else None
    _put(message, path, _hostile(field, draw) if several is None else several)


def _put(message: Any, path: Path, value: Any) -> None:
    for field in path[:-1]:
        message = getattr(message, field.name)
        message.SetInParent()
    _set(message, path[-1], value)


def _hostile(field: FieldDescriptor, draw: Draw) -> Any:
    """One of the values below, or one made up."""
    kind = field.message_type
    if kind is not None and kind.full_name == "google.protobuf.Struct" and draw(st.booleans()):
        return value_of(
            draw(st.dictionaries(st.text(max_size=5), SCALARS, max_size=3))
        ).struct_value
    if field.type == FieldDescriptor.TYPE_STRING and draw(st.booleans()):
        return draw(st.text(max_size=30))
    return draw(st.sampled_from(hostile_values(field)))


@functools.cache
def hostile_values(field: FieldDescriptor) -> list[Any]:
    """What has broken products like this one, by the field's type."""
    if field.message_type is not None:
        return _hostile_messages(field.message_type)
    if field.enum_type is not None:
        return [0, -1, 99, 2**31 - 1, -(2**31)]
    if field.type == FieldDescriptor.TYPE_STRING:
        rules = field.GetOptions().Extensions[validate_pb2.field].string
        return [*(EMAILS if rules.email else []), *(UUIDS if rules.uuid else []), *TEXTS]
    if field.type == FieldDescriptor.TYPE_BYTES:
        return [b"", b"\0", b"x" * 70_000]
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return FLOATS
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return [True, False]
    signed = field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
    return [0, -1, 1, 2**31 - 1, -(2**31)] if signed else [0, 1, 2**32 - 1]


def _hostile_messages(kind: Descriptor) -> list[Message]:
    make: Any = registry.message_class(kind.full_name)
    match kind.full_name:
        case "google.protobuf.Struct":
            return [value_of(plain).struct_value for plain in STRUCTS]
        case "google.protobuf.Duration" | "google.protobuf.Timestamp":
            edges = [0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63), 253_402_300_800, 10**13]
            parts = [0, 1, -1, 10**9, -(2**31), 2**31 - 1]
            return [make(seconds=edge, nanos=part) for edge in edges for part in parts]
        case "google.protobuf.FieldMask":
            odd = ["", "display_name", "displayName", "a__b", "profile.", ".", "profile.nope", "\0"]
            return [make(paths=[path]) for path in odd] + [make(), make(paths=odd)]
        case _:
            return [make()]


def _set(message: Any, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        message.ClearField(field.name)
        getattr(message, field.name).extend(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, value)
