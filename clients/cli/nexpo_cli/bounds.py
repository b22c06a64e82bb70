"""What a field's rules ask for, in words: from 1 to 100, at most 64 characters.

Source: buf/validate/validate.proto. Nothing is evaluated here, only said: the
gateway validates. A rule that has no words here is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration

_NUMBERS = {
    *("float", "double", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
    *("fixed32", "fixed64", "sfixed32", "sfixed64"),
}
_FORMATS = {
    "email": "an e-mail address",
    "uuid": "a UUID",
    "uri": "a URI",
    "hostname": "a host name",
    "ip": "an IP address",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
}
# Longer ones say nothing to a person.
_LONGEST_PATTERN = 60


def bounds(field: FieldDescriptor) -> list[str]:
    """What the value must be, each bound in a few words; of a list, its items' too."""
    rules = _rules(field)
    kind = rules.WhichOneof("type")
    if kind == "repeated":
        items = rules.repeated.items
        each = _said(items.WhichOneof("type"), items)
        return [*_counted(rules.repeated, "items"), *(f"each {text}" for text in each)]
    if kind == "map":
        return list(_counted(rules.map, "pairs"))
    return list(_said(kind, rules))


def requires_value(field: FieldDescriptor) -> bool:
    """Whether the gateway refuses a request in which the field is not set."""
    rules = _rules(field)
    if rules.required:
        return True
    kind = rules.WhichOneof("type")
    # A field that can be absent is validated when it is there; one that cannot, always.
    always = not field.has_presence and rules.ignore != validate_pb2.IGNORE_IF_ZERO_VALUE
    if kind is None or not always or rules.ignore == validate_pb2.IGNORE_ALWAYS:
        return False
    typed = getattr(rules, kind)
    if kind in _NUMBERS:
        return not _allows_zero(typed)
    match kind:
        case "string":
            formats = any(getattr(typed, name, False) for name in _FORMATS)
            return bool(formats or _least(typed) or getattr(typed, "in"))
        case "bytes":
            return bool(_least(typed))
        case "enum":
            listed = list(getattr(typed, "in"))
            return 0 in typed.not_in or bool(listed and 0 not in listed)
        case "repeated":
            return bool(typed.min_items)
        case "map":
            return bool(typed.min_pairs)
        case _:
            return False


def _rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def _said(kind: str | None, rules: validate_pb2.FieldRules) -> Iterator[str]:
    if kind in ("string", "bytes"):
        yield from _text(getattr(rules, kind), "characters" if kind == "string" else "bytes")
    elif kind in _NUMBERS or kind == "duration":
        yield from _range(getattr(rules, kind or ""))


def _text(rules: Any, unit: str) -> Iterator[str]:
    yield from (said for name, said in _FORMATS.items() if getattr(rules, name, False))
    listed = [str(value) for value in getattr(rules, "in")]
    if listed:
        yield f"one of {', '.join(listed)}"
    least, most = _least(rules), rules.len or rules.max_len
    if least and least == most:
        yield f"exactly {_counting(least, unit)}"
    elif least > 1 and most:
        yield f"from {least} to {most} {unit}"
    elif most:
        yield f"at most {_counting(most, unit)}"
    elif least > 1:
        yield f"at least {least} {unit}"
    if rules.pattern and len(rules.pattern) <= _LONGEST_PATTERN:
        yield f"like {rules.pattern}"


def _least(rules: Any) -> int:
    return int(rules.len or rules.min_len)


def _counted(rules: Any, unit: str) -> Iterator[str]:
    least, most = getattr(rules, f"min_{unit}"), getattr(rules, f"max_{unit}")
    if least and most:
        yield f"from {least} to {most} of them"
    elif most:
        yield f"at most {most} of them"
    elif least > 1:
        yield f"at least {least} of them"


def _range(rules: Any) -> Iterator[str]:
    known = {name: _value(rules, name) for name in ("const", "gt", "gte", "lt", "lte")}
    if known["const"]:
        yield f"exactly {known['const']}"
    listed = [_shown(value) for value in getattr(rules, "in")]
    if listed:
        yield f"one of {', '.join(listed)}"
    low = known["gte"] or (known["gt"] and f"more than {known['gt']}")
    high = known["lte"] or (known["lt"] and f"less than {known['lt']}")
    if known["gte"] and known["lte"]:
        yield f"from {low} to {high}"
        return
    if low:
        yield f"at least {low}" if known["gte"] else low
    if high:
        yield f"at most {high}" if known["lte"] else high


def _value(rules: Any, name: str) -> str:
    return _shown(getattr(rules, name)) if rules.HasField(name) else ""


def _shown(value: Any) -> str:
    if not isinstance(value, Duration):
        return f"{value:g}" if isinstance(value, float) else str(value)
    rest = value.seconds
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        count, rest = divmod(rest, size)
        parts += [f"{count}{unit}"] if count else []
    seconds = rest + value.nanos / 1e9
    return "".join([*parts, *([f"{seconds:g}s"] if seconds or not parts else [])])


def _allows_zero(rules: Any) -> bool:
    listed = list(getattr(rules, "in"))
    if 0 in rules.not_in or (listed and 0 not in listed):
        return False
    if rules.HasField("const") and rules.const != 0:
        return False
    low = (not rules.HasField("gte") or rules.gte <= 0) and (
        not rules.HasField("gt") or rules.gt < 0
    )
    high = (not rules.HasField("lte") or rules.lte >= 0) and (
        not rules.HasField("lt") or rules.lt > 0
    )
    bounded = rules.WhichOneof("greater_than") and rules.WhichOneof("less_than")
    if bounded and _lowest(rules) > _highest(rules):
        return bool(low or high)  # "less than 1 or more than 9", as validate.proto has it
    return bool(low and high)


def _lowest(rules: Any) -> float:
    return float(getattr(rules, rules.WhichOneof("greater_than")))


def _highest(rules: Any) -> float:
    return float(getattr(rules, rules.WhichOneof("less_than")))


def _counting(number: int, unit: str) -> str:
    return f"{number} {unit[:-1]}" if number == 1 else f"{number} {unit}"
