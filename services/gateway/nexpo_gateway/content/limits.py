"""The limits of content: what a request may hold so that every part of Nexpo can carry it.

Whatever passes here can be written as JSON and read back equal, sent through Temporal, kept
by every store and read by every client: readers of protobuf stop at 100 messages in each
other, Temporal at 2 MB a message and 4 MB a step, PostgreSQL at U+0000, JSON at NaN, doubles
at 2^53. The figures are the contract's (nexpo.options.v1.content_limits).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError, Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from nexpo import registry
from nexpo.options.v1 import options_pb2
from nexpo_runtime.errors import FieldViolation

from .sizes import json_bytes, too_large
from .validation import invalid

LIMITS = options_pb2.DESCRIPTOR.GetOptions().Extensions[options_pb2.content_limits]

TOO_DEEP = f"has more than {LIMITS.struct_levels} objects and lists in each other"
TOO_LARGE_NUMBER = f"must be a number between plus and minus {LIMITS.largest_whole_number}"
NOT_FINITE = "must be a finite number"

# No JSON is longer than so many times its message: the name of an enum's value or of a field
# of one byte. Below a limit's share of it nothing is measured.
_JSON_FACTOR = 64
_LONGEST_PATH = 200

# Tab, line feed and carriage return are in the first, not in the second. U+0085, U+2028 and
# U+2029 end a line, too.
_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_IN_A_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_LONGEST_DURATION = 315_576_000_000

Problems = Iterator[FieldViolation]


def check_content(request: Message, max_bytes: int) -> None:
    """Refuses what some part of Nexpo could not carry; in a Struct, -0 becomes 0.

    Args:
        request: Parsed; what it has of other versions' fields counts by its size only.
        max_bytes: The most that it may have, on the wire and as JSON.

    Raises:
        Fault: MESSAGE_TOO_LARGE; INVALID_ARGUMENT. Both name the fields.
    """
    size = request.ByteSize()
    if size > max_bytes:
        raise too_large(request, size, max_bytes)
    violations = _message(request, "", 1)
    if (first := next(violations, None)) is not None:
        raise invalid(chain([first], violations))
    if size * _JSON_FACTOR > max_bytes:
        size = json_bytes(request)
        if size > max_bytes:
            raise too_large(request, size, max_bytes)


def text_problem(text: str, multiline: bool) -> str:
    """What is wrong with a text, or ""."""
    found = (_IN_A_TEXT if multiline else _IN_A_LINE).search(text)
    return "" if found is None else f"must not hold the character U+{ord(found[0]):04X}"


def name_problem(name: str) -> str:
    """What is wrong with a name in a Struct, or ""."""
    if name.startswith("$"):
        return "must not begin with $"
    return text_problem(name, multiline=False)


def number_problem(number: float) -> str:
    """What is wrong with a number in a Struct, or ""."""
    if abs(number) <= LIMITS.largest_whole_number:
        return ""
    return TOO_LARGE_NUMBER if abs(number) < math.inf else NOT_FINITE


def inside(path: str, name: str) -> str:
    """The path of a name in a Struct or a map; what strangers wrote is cut and made harmless."""
    shown = name[:64].encode("ascii", "backslashreplace").decode()
    return f'{path}["{_printable(shown)}"]'[:_LONGEST_PATH]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _message(message: Message, path: str, level: int) -> Problems:
    if level > LIMITS.message_levels:
        yield FieldViolation(path[:_LONGEST_PATH], f"has more than {level - 1} levels")
        return
    special = _SPECIAL.get(message.DESCRIPTOR.full_name)
    if special is not None:
        yield from special(message, path, level)
        return
    for field, value in message.ListFields():
        check = _check_of(field)
        if check is not None:
            yield from check(value, f"{path}.{field.name}" if path else field.name, level)


Check = Callable[[Any, str, int], Problems]


@functools.cache  # of the contract's fields: most need no look at all, and the rest one kind of it
def _check_of(field: FieldDescriptor) -> Check | None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return _of_map(kind)
    one = _check_of_one(field)
    if one is None or not field.is_repeated:
        return one

    def each(values: Any, path: str, level: int) -> Problems:
        for index, value in enumerate(values):
            yield from one(value, f"{path}[{index}]", level)

    return each


def _of_map(entry: Descriptor) -> Check:
    value_check = _check_of_one(entry.fields_by_name["value"])

    def check(values: Mapping[Any, Any], path: str, level: int) -> Problems:
        for key in values:
            here = inside(path, str(key))
            problem = text_problem(key, multiline=False) if isinstance(key, str) else ""
            if problem:
                yield FieldViolation(here, problem)
            if value_check is not None:
                yield from value_check(values[key], here, level + 1)

    return check


def _check_of_one(field: FieldDescriptor) -> Check | None:
    """How to look at one value of a field; None where every value is good."""
    if field.message_type is not None:
        return lambda value, path, level: _message(value, path, level + 1)
    if field.enum_type is not None:
        known = frozenset(field.enum_type.values_by_number)
        return _scalar(lambda value: "" if value in known else "is not a value of the contract")
    source = registry.unprotected(field)
    if source is not None:
        problem = f"is made of {source.name}; leave it out"
        return _scalar(lambda value: problem)
    if field.type == FieldDescriptor.TYPE_STRING:
        multiline = field.GetOptions().Extensions[options_pb2.multiline]
        return _scalar(lambda value: text_problem(value, multiline))
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return _scalar(lambda value: "" if math.isfinite(value) else NOT_FINITE)
    return None


def _scalar(problem_of: Callable[[Any], str]) -> Check:
    def check(value: Any, path: str, level: int) -> Problems:
        problem = problem_of(value)
        if problem:
            yield FieldViolation(path, problem)

    return check


def _struct(struct: Struct, path: str, level: int, depth: int = 1) -> Problems:
    if depth > LIMITS.struct_levels:
        yield FieldViolation(path, TOO_DEEP)
        return
    for name, value in struct.fields.items():
        problem = name_problem(name)
        if problem:
            yield FieldViolation(inside(path, name), problem)
        yield from _value(value, path, level + 2, depth, name)


def _list(values: ListValue, path: str, level: int, depth: int = 1) -> Problems:
    if depth > LIMITS.struct_levels:
        yield FieldViolation(path, TOO_DEEP)
        return
    for index, value in enumerate(values.values):
        yield from _value(value, path, level + 1, depth, index)


def _value(
    value: Value, path: str, level: int, depth: int = 0, name: str | int | None = None
) -> Problems:
    """One value at `path[name]`: the path is made only where somebody will read it."""
    kind = value.WhichOneof("kind")
    problem = ""
    if kind == "string_value":
        problem = text_problem(value.string_value, multiline=True)
    elif kind == "number_value":
        problem = number_problem(value.number_value)
        if not value.number_value:
            value.number_value = 0.0  # without a sign, which PostgreSQL's JSON does not keep
    elif kind == "struct_value":
        here = _at(path, name)
        yield from _deeper(_struct(value.struct_value, here, level + 1, depth + 1), here, level)
    elif kind == "list_value":
        here = _at(path, name)
        yield from _deeper(_list(value.list_value, here, level + 1, depth + 1), here, level)
    elif kind is None or value.null_value:
        problem = "has no value"
    if problem:
        yield FieldViolation(_at(path, name), problem)


def _deeper(found: Problems, path: str, level: int) -> Problems:
    """What is found inside, unless it lies too deep in the message around the Struct."""
    if level >= LIMITS.message_levels:
        return iter([FieldViolation(path, f"has more than {LIMITS.message_levels} levels")])
    return found


def _at(path: str, name: str | int | None) -> str:
    if name is None:
        return path
    return inside(path, name) if isinstance(name, str) else f"{path}[{name}]"[:_LONGEST_PATH]


def _timestamp(time: Timestamp, path: str, level: int) -> Problems:
    if not _FIRST_SECOND <= time.seconds <= _LAST_SECOND or not 0 <= time.nanos < 1_000_000_000:
        yield FieldViolation(path, "must be a time from year 1 to 9999")


def _duration(duration: Duration, path: str, level: int) -> Problems:
    one_sign = duration.seconds * duration.nanos >= 0
    within = abs(duration.seconds) <= _LONGEST_DURATION and abs(duration.nanos) < 1_000_000_000
    if not (one_sign and within):
        yield FieldViolation(path, "must be a duration of at most 10,000 years")


def _field_mask(mask: FieldMask, path: str, level: int) -> Problems:
    for index, name in enumerate(mask.paths):
        one, back = FieldMask(paths=[name]), FieldMask()
        try:
            back.FromJsonString(one.ToJsonString())
        except ValueError:
            back.Clear()
        if back != one:
            wanted = "must be the path of a field such as profile.time_zone"
            yield FieldViolation(f"{path}.paths[{index}]", wanted)


def _any(packed: Any, path: str, level: int) -> Problems:
    try:
        inner = registry.message_class(packed.TypeName())()
        inner.ParseFromString(packed.value)
    except (KeyError, DecodeError):
        yield FieldViolation(path, "is no message of the contract")
        return
    yield from _message(inner, path, level + 1)


_SPECIAL: Mapping[str, Check] = {
    "google.protobuf.Struct": _struct,
    "google.protobuf.ListValue": _list,
    "google.protobuf.Value": _value,
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
    "google.protobuf.Any": _any,
}
