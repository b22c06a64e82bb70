"""JSON values for single fields: texts, numbers, enums, bytes; what is wrong with one, in words."""

from __future__ import annotations

import base64
import binascii
import math

from google.protobuf.descriptor import FieldDescriptor

from ..content.limits import NOT_FINITE

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def scalar_problem(value: object, field: FieldDescriptor) -> str:
    """What is wrong with the value for the field, or ""."""
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
