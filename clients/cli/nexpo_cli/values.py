"""Texts of the command line into values of protobuf fields.

Source of the forms: the JSON mapping of proto3, with shorter ones for people:
`24h`, `2026-01-31`, `postgres` for STORE_POSTGRES, `key=value`.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from .contract import registry

Value = str | bytes | int | float | bool | Message

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:d|h|ms|us|m|s))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|us|m|s)")
_WRAPPERS = re.compile(r"^google\.protobuf\.\w+Value$")
_JSON_VALUES = ("google.protobuf.Value", "google.protobuf.ListValue")


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def is_wrapper(message: Descriptor) -> bool:
    """Whether the message only wraps a scalar, so that it can be absent."""
    return bool(_WRAPPERS.match(message.full_name)) and message.full_name not in _JSON_VALUES


def one(field: FieldDescriptor, text: str) -> Value:
    """The value of a text, for a field that is single, or for one item.

    Raises:
        ValueError: It is no value of the field; says what it must be.
    """
    if field.message_type is not None:
        return _message(field.message_type, text)
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return _bool(text)
        case FieldDescriptor.CPPTYPE_ENUM:
            return _enum(cast(EnumDescriptor, field.enum_type), text)
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return _bytes(text)
        case FieldDescriptor.CPPTYPE_STRING:
            return _text(text)
        case kind if kind in _FLOATS:
            return _float(text)
        case kind:
            return _integer(text, *_INTEGERS[kind])


def many(field: FieldDescriptor, texts: Sequence[str]) -> list[Value]:
    """The items of a repeated field: comma lists, JSON lists, and flags given again.

    Raises:
        ValueError: One is no value of the field.
    """
    items: list[Value] = []
    for text in texts:
        if text.startswith(("[", "@")):
            items += [one(field, _as_text(item)) for item in _json_list(text)]
        elif field.message_type is not None and _takes_json(field.message_type):
            items.append(one(field, text))
        else:
            items += [one(field, item.strip()) for item in text.split(",") if item.strip()]
    return items


def entries(field: FieldDescriptor, texts: Sequence[str]) -> dict[Value, Value]:
    """The entries of a map: `key=value`, or a JSON object.

    Raises:
        ValueError: One is no entry.
    """
    entry = cast(Descriptor, field.message_type)
    found: dict[Value, Value] = {}
    for text in texts:
        pairs: list[tuple[str, str]]
        if text.startswith(("{", "@")):
            data = from_json(text)
            if not isinstance(data, dict):
                raise ValueError("must be key=value or a JSON object")
            pairs = [(key, _as_text(value)) for key, value in data.items()]
        else:
            key, equals, value = text.partition("=")
            if not equals:
                raise ValueError("must be key=value or a JSON object")
            pairs = [(key, value)]
        for key, value in pairs:
            name = one(entry.fields_by_name["key"], key)
            found[name] = one(entry.fields_by_name["value"], value)
    return found


def enum_names(enum: EnumDescriptor) -> list[str]:
    """The values as they are typed: postgres, mongodb, ...; without the zero one."""
    prefix = _enum_prefix(enum)
    return [
        value.name.removeprefix(prefix).lower().replace("_", "-")
        for value in enum.values
        if value.number != 0
    ]


def shown_enum(enum: EnumDescriptor, number: int) -> str:
    """A value as it is typed; its number when this contract does not know it."""
    value = enum.values_by_number.get(number)
    if value is None:
        return str(number)
    return value.name.removeprefix(_enum_prefix(enum)).lower().replace("_", "-")


def seconds(text: str) -> float:
    """The seconds of `90`, `90s`, `24h`, `1h30m`, `250ms`.

    Raises:
        ValueError: It is no duration.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError("must be a duration such as 90s, 24h or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))


def from_json(text: str) -> object:
    """The JSON of a text, or of the file after an `@`.

    Raises:
        ValueError: It is no JSON, or there is no such file.
    """
    if text.startswith("@"):
        text = file_text(text[1:])
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"is not JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ValueError("is not JSON: it is nested too deeply") from None


def file_text(name: str) -> str:
    """The text of a file.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        return Path(name).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8") from None


def fill(message: Message, data: object) -> None:
    """Sets in `message` what the JSON value says.

    Raises:
        ValueError: It does not fit the message.
    """
    full_name = message.DESCRIPTOR.full_name
    if not isinstance(data, dict) and not full_name.startswith("google.protobuf."):
        raise ValueError("must be a JSON object")
    try:
        json_format.ParseDict(data, message)  # type: ignore[arg-type]  # refuses what is no dict
    except json_format.ParseError as error:
        raise ValueError(f"does not fit: {str(error).splitlines()[0]}") from None
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise ValueError(f"does not fit {full_name}") from None


def _message(kind: Descriptor, text: str) -> Message:
    message = registry.message_class(kind.full_name)()
    if isinstance(message, Duration):
        message.FromNanoseconds(round(seconds(text) * 1e9))
    elif isinstance(message, Timestamp):
        message.FromDatetime(_time(text))
    elif isinstance(message, FieldMask):
        message.paths.extend(path.strip() for path in text.split(",") if path.strip())
    elif is_wrapper(kind):
        field = kind.fields_by_name["value"]
        setattr(message, field.name, one(field, text))
    else:
        fill(message, from_json(text))
    return message


def _takes_json(kind: Descriptor) -> bool:
    short = ("Duration", "Timestamp", "FieldMask")
    return kind.full_name.removeprefix("google.protobuf.") not in short and not is_wrapper(kind)


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time such as 2026-01-31T09:00:00Z") from None
    # Without a zone it is the time on the user's own clock.
    return moment.astimezone()


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid UTF-8") from None
    return text


def _bytes(text: str) -> bytes:
    if text.startswith("@"):
        try:
            return Path(text[1:]).expanduser().read_bytes()
        except OSError as error:
            raise ValueError(f"{text[1:]} cannot be read: {error.strerror}") from None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64, or @file") from None


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _integer(text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        raise ValueError("must be a whole number")
    number = int(text)
    if not low <= number <= high:
        raise ValueError(f"must be between {low} and {high}")
    return number


def _float(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if math.isinf(number) and "inf" not in text.lower():
        raise ValueError("is too large")
    return number


def _enum(enum: EnumDescriptor, text: str) -> int:
    wanted = text.upper().replace("-", "_")
    for name in (_enum_prefix(enum) + wanted, wanted):
        if name in enum.values_by_name:
            return int(enum.values_by_name[name].number)
    raise ValueError(f"must be one of {', '.join(enum_names(enum))}")


def _enum_prefix(enum: EnumDescriptor) -> str:
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    return prefix if all(value.name.startswith(prefix) for value in enum.values) else ""


def _json_list(text: str) -> list[object]:
    data = from_json(text)
    if not isinstance(data, list):
        raise ValueError("must be a JSON list")
    return data


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
