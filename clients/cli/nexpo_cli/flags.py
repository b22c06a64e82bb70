"""What a request can hold, as flags: one per field, nested ones as --a.b."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from . import values
from .bounds import bounds, requires_value
from .contract import comment, is_secret, mask_paths, owner, registry
from .naming import kebab

# Flags of the command itself; a field of the same name is asked for as --request.NAME.
_OF_ALL = ("address", "api-key", "timeout", "output", "tls", "ca", "help", "version")
_OF_SOME = ("json", "wait", "follow")
RESERVED = frozenset((*_OF_ALL, *_OF_SOME))
_DEEPEST = 4
_METAVARS = {
    "google.protobuf.Duration": "DURATION",
    "google.protobuf.Timestamp": "TIME",
    "google.protobuf.FieldMask": "FIELDS",
}
_VARIABLE = re.compile(r"\{([\w.]+)(?:=([^{}]*))?\}")


@dataclass(frozen=True)
class Flag:
    """One field of a request, on the command line.

    Attributes:
        path: The field and those around it, outermost first.
        positional: Whether it stands in the method's path, and so needs no flag.
    """

    path: tuple[FieldDescriptor, ...]
    positional: bool = False

    @property
    def field(self) -> FieldDescriptor:
        """The field itself."""
        return self.path[-1]

    @property
    def dotted(self) -> str:
        """The field's path in the request: profile.time_zone."""
        return ".".join(field.name for field in self.path)

    @property
    def name(self) -> str:
        """What is typed: --profile.time-zone."""
        name = ".".join(kebab(field.name) for field in self.path)
        return f"--request.{name}" if name in RESERVED else f"--{name}"

    @property
    def secret(self) -> bool:
        """Whether it is a password or a token."""
        return is_secret(self.field)

    @property
    def required(self) -> bool:
        """Whether a request without it is refused."""
        return self.positional or all(requires_value(field) for field in self.path)

    @property
    def several(self) -> bool:
        """Whether the flag can be given again."""
        return self.field.is_repeated

    @property
    def metavar(self) -> str:
        """What kind of value it takes."""
        kind = _metavar(self.field)
        if values.is_map(self.field):
            return "KEY=VALUE"
        return f"{kind},..." if self.several and kind != "JSON" else kind

    @property
    def help(self) -> str:
        """What the proto says, what it can be, and whether it must be given."""
        field = self.field
        said = [comment(field.full_name)]
        if field.enum_type is not None:
            said.append(f"One of {', '.join(values.enum_names(field.enum_type))}.")
        if mask_paths(field):
            said.append("The fields that are given when left out.")
        allowed = bounds(field)
        if allowed:
            said.append(f"[{'; '.join(allowed)}]")
        if self.required and not self.positional:
            said.append("[required]")
        return " ".join(filter(None, said))


def flags_of(method: MethodDescriptor) -> list[Flag]:
    """The flags of a method: those of its path first, then in the proto's order."""
    variables = _path_variables(method)
    flags = [
        Flag(path, positional=".".join(field.name for field in path) in variables)
        for path in _paths(method.input_type, ())
    ]
    fixed = {name for name, value in variables.items() if value}
    order = [*variables]
    known = [flag for flag in flags if flag.dotted not in fixed and not _is_timeout(flag)]
    return sorted(
        known, key=lambda flag: order.index(flag.dotted) if flag.positional else len(order)
    )


def fixed_values(method: MethodDescriptor) -> dict[str, str]:
    """Fields whose value the method's path says: {name=operations}."""
    return {name: value for name, value in _path_variables(method).items() if value}


def timeout_field(message: Descriptor) -> FieldDescriptor | None:
    """The request's own time-out, which --timeout sets beside the call's."""
    field = message.fields_by_name.get("timeout")
    kind = field.message_type if field else None
    return field if kind is not None and kind.full_name == "google.protobuf.Duration" else None


def _is_timeout(flag: Flag) -> bool:
    return len(flag.path) == 1 and flag.field is timeout_field(owner(flag.field))


def _path_variables(method: MethodDescriptor) -> dict[str, str]:
    """Each variable of the main route, with its value when that is no pattern."""
    rules = registry.http_rules(method)
    if not rules:
        return {}
    template = getattr(rules[0], rules[0].WhichOneof("pattern") or "get")
    return {
        match[1]: match[2] if match[2] and "*" not in match[2] else ""
        for match in _VARIABLE.finditer(template)
    }


def _paths(
    message: Descriptor, outer: tuple[FieldDescriptor, ...]
) -> Iterator[tuple[FieldDescriptor, ...]]:
    for field in message.fields:
        if registry.unprotected(field):
            continue  # what the gateway makes of a secret, nobody types
        path = (*outer, field)
        yield path
        inner = field.message_type
        if inner is None or field.is_repeated or inner.full_name.startswith("google.protobuf."):
            continue
        around = {owner(each).full_name for each in path}
        if inner.full_name not in around and len(path) < _DEEPEST:
            yield from _paths(inner, path)


def _metavar(field: FieldDescriptor) -> str:
    kind = field.message_type
    if kind is not None:
        if values.is_wrapper(kind):
            return _metavar(kind.fields_by_name["value"])
        return _METAVARS.get(kind.full_name, "JSON")
    if field.enum_type is not None:
        return "NAME"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return "BASE64"
    return "TEXT" if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else "NUMBER"
