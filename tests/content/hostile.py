"""Requests made of the contract's descriptors: good ones, and what strangers send.

A new RPC is covered by being in the contract. A good value is made from a field's own
rules; a hostile one from its type.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from buf.validate import validate_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import find, settings
from hypothesis import strategies as st

from nexpo import registry
from nexpo_gateway.content import LIMITS
from nexpo_gateway.contract import ANY_OPERATION, Rpc
from nexpo_gateway.surfaces.json_requests import descriptor_of

Path = tuple[FieldDescriptor, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]

_DEEPEST = 3
_OFTEN = 4
_MARK = "\N{REPLACEMENT CHARACTER}"
_OPERATION_FIELDS = ("operation", "name")
_EDGE = LIMITS.largest_whole_number

TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "a\nb",
    "\t",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\u202eevil",
    "\ufeff",
    "\ufffe",
    "İ",
    "ẞ",
    "K@x.example",
    "$set",
    "__proto__",
    "null",
    "NaN",
    "../..",
    "'; DROP TABLE users; --",
    "%00",
    "😀" * 60,
    "x" * 5000,
    "x" * 70_000,
    "é" * 40_000,
]
EMAILS = [
    "Ada@I❤.ws",
    "a@FASS.de",
    "a@faß.de",
    "a@AB--CD.example",
    "a@xn--zzzzzz.com",
    "a@XN--TDA.de",
    "a@Ü.de",
    "a@a_b.example",
    "a@b.example.",
    '"a b"@c.example',
    "ü@b.example",
    "a@[127.0.0.1]",
    "a@b。example",
    "a@\u200db.example",
    "a..b@c.example",
    ".@c.example",
    "a@" + "b" * 64 + ".example",
    "x" * 240 + "@b.example",
]
UUIDS = [
    "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
    "{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}",
    "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "f81d4fae7dec11d0a76500a0c91e6bf6",
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf",
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6\n",
]
FLOATS = [math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 2.0**53, float(_EDGE)]
RAW_JSON = [
    "1e999",
    "-1e999",
    "9" * 400,
    "-" + "9" * 400,
    "9" * 5000,
    "9007199254740992",
    "9007199254740993",
    "1.5",
    "-0.0",
    "true",
    "null",
    '"NaN"',
    '"Infinity"',
    '"1e999"',
    '"\\u0000"',
    '"\\ud800"',
    '"a\\u0000b"',
    "[]",
    "{}",
    '[[["x"]]]',
    '{"a": 1e999}',
    '{"a": {"b": [' + "9" * 400 + "]}}",
    '{"\\u0000": 1}',
    '{"$a": 1}',
    '{"a": "\\ud83d"}',
    "[" * 40 + "]" * 40,
    '{"a":' * 25 + "1" + "}" * 25,
    '{"a": [' + ",".join(["null"] * 20_000) + "]}",
    '"9999-12-31T23:59:59-23:59"',
    '"0001-01-01T00:00:00+23:59"',
    '"315576000001s"',
    '"-5.5s"',
]


def value_of(plain: Any) -> Value:
    """A Value, also of what json_format would refuse to write."""
    if isinstance(plain, bool):
        return Value(bool_value=plain)
    if isinstance(plain, float | int):
        return Value(number_value=plain)
    if isinstance(plain, str):
        return Value(string_value=plain)
    if isinstance(plain, dict):
        return Value(struct_value=Struct(fields={k: value_of(v) for k, v in plain.items()}))
    if isinstance(plain, list):
        return Value(list_value=ListValue(values=[value_of(v) for v in plain]))
    return Value(null_value=0) if plain is None else Value()  # type: ignore[arg-type]  # an enum's number


def nested(levels: int) -> dict[str, Any]:
    """Objects in each other."""
    inner: dict[str, Any] = {}
    for _ in range(levels - 1):
        inner = {"n": inner}
    return inner


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-_EDGE, _EDGE).map(float),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    st.text(max_size=12),
)
GOOD_STRUCTS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8).filter(
        lambda name: not name.startswith("$")
    ),
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-_EDGE, _EDGE).map(float),
            st.floats(-1e15, 1e15),
            st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12),
            st.sampled_from(["a\nb", "\t", "\r\n", "😀", "\u2028", "\uffff", "'", '"', "\\"]),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["", "a", "a.b", "ü", "id", "_id"]), inner, max_size=3),
        ),
        max_leaves=8,
    ),
    max_size=4,
)
STRUCTS: list[Any] = [
    *({"a": number} for number in FLOATS),
    {"a": {"b": [1.0, math.nan]}},
    {"\0": 1.0},
    {"$ref": "users", "$id": 1.0},
    {"a\nb": 1.0},
    {"a": "\0"},
    {"a": ...},
    {"a": [...]},
    nested(LIMITS.struct_levels),
    nested(LIMITS.struct_levels + 1),
    nested(31),
    {"a": "x" * LIMITS.request_bytes},
    {"a": "é" * (LIMITS.request_bytes // 3)},
    {"a": [None] * 16_000},
]


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
            draw(st.dictionaries(st.text(max_size=5), _SCALARS, max_size=3))
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
