"""Values that have broken products like this one, and good ones beside them."""

from __future__ import annotations

import math
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import strategies as st

from nexpo_gateway.content.limits import LIMITS

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


SCALARS = st.one_of(
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
