"""A request from what was typed: JSON first, then each flag, then what must not be seen."""

from __future__ import annotations

import getpass
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from . import values
from .contract import descriptor_of, mask_paths, registry
from .exits import UsageError
from .flags import Flag, fixed_values, flags_of

# One call under one request_id, whoever makes it: so a call that was cut off can be repeated.
_REQUEST_ID = "request_id"


@dataclass(frozen=True)
class SecretSource:
    """Where a secret comes from when it is not typed."""

    stdin: bool = False
    variable: str | None = None


@dataclass
class Typed:
    """What was typed for a request.

    Attributes:
        json: The whole request as JSON, `-` for standard input, or `@file`.
        given: The parsed value of each flag that was given.
        sources: Where secrets come from.
    """

    json: str | None = None
    given: dict[Flag, Any] = field(default_factory=dict)
    sources: dict[Flag, SecretSource] = field(default_factory=dict)


def parse(flag: Flag, texts: list[str]) -> Any:
    """The value of a flag.

    Raises:
        ValueError: It is no value of the field.
    """
    if values.is_map(flag.field):
        return values.entries(flag.field, texts)
    if flag.several:
        return values.many(flag.field, texts)
    return values.one(flag.field, texts[-1])


def build(method: MethodDescriptor, typed: Typed) -> Message:
    """The request.

    Raises:
        UsageError: Something is missing, given twice, or no request.
    """
    request = registry.message_class(method.input_type.full_name)()
    for name, value in fixed_values(method).items():
        setattr(request, name, value)
    _check_sources(typed)
    if typed.json is not None:
        _apply_json(request, typed.json)
    _check_choices(typed.given)
    for flag, value in typed.given.items():
        _assign(request, flag, value)
    flags = flags_of(method)
    _take_secrets(request, [flag for flag in flags if flag.secret], typed)
    missing = [flag.name for flag in flags if flag.positional and not _value(request, flag)]
    if missing:
        names = ", ".join(name.removeprefix("--").upper() for name in missing)
        raise UsageError(f"{names} must be given.")
    _complete(request, typed)
    return request


def _check_sources(typed: Typed) -> None:
    readers = [f"{flag.name}-stdin" for flag, source in typed.sources.items() if source.stdin]
    if typed.json == "-":
        readers.append("--json -")
    if len(readers) > 1:
        raise UsageError(f"Only one can read standard input: {', '.join(readers)}.")
    for flag, source in typed.sources.items():
        if (flag in typed.given) + source.stdin + (source.variable is not None) > 1:
            raise UsageError(f"{flag.name} is given in more than one way.")


def _apply_json(request: Message, text: str) -> None:
    try:
        values.fill(request, values.from_json(_stdin() if text == "-" else text))
    except ValueError as error:
        raise UsageError(f"--json: {error}") from None


def _check_choices(given: dict[Flag, Any]) -> None:
    taken: dict[tuple[str, ...], Flag] = {}
    for flag in given:
        for depth, one in enumerate(flag.path):
            choice = one.containing_oneof
            if choice is None:
                continue
            # Two parts of one member are no contradiction.
            key = (*(outer.name for outer in flag.path[:depth]), choice.name)
            other = taken.setdefault(key, flag)
            if other.path[depth].name != one.name:
                raise UsageError(f"Either {other.name} or {flag.name}: they exclude each other.")


def _assign(request: Message, flag: Flag, value: Any) -> None:
    message: Any = request
    for outer in flag.path[:-1]:
        message = getattr(message, outer.name)
        message.SetInParent()
    name = flag.field.name
    if values.is_map(flag.field):
        _assign_map(message, flag.field, value)
    elif flag.several:
        message.ClearField(name)
        getattr(message, name).extend(value)
    elif flag.field.message_type is not None:
        getattr(message, name).CopyFrom(value)
        getattr(message, name).SetInParent()
    else:
        setattr(message, name, value)


def _assign_map(message: Any, field: FieldDescriptor, entries: dict[Any, Any]) -> None:
    message.ClearField(field.name)
    target = getattr(message, field.name)
    for key, value in entries.items():
        if isinstance(value, Message):
            target[key].CopyFrom(value)
        else:
            target[key] = value


def _take_secrets(request: Message, flags: list[Flag], typed: Typed) -> None:
    for flag in flags:
        source = typed.sources.get(flag, SecretSource())
        if flag in typed.given:
            print(
                f"warning: {flag.name} on the command line can be seen by others on this machine "
                f"and stays in the shell's history; use {flag.name}-stdin or {flag.name}-env.",
                file=sys.stderr,
            )
        elif source.stdin:
            _assign(request, flag, _secret_from_stdin(flag))
        elif source.variable is not None:
            if source.variable not in os.environ:
                raise UsageError(f"{flag.name}-env: {source.variable} is not set.")
            _assign(request, flag, os.environ[source.variable])
        elif flag.required and not _value(request, flag):
            _assign(request, flag, _prompted(flag))


def _secret_from_stdin(flag: Flag) -> str:
    secret = _stdin().removesuffix("\n").removesuffix("\r")
    if not secret:
        raise UsageError(f"{flag.name}-stdin: standard input is empty.")
    return secret


def _prompted(flag: Flag) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{flag.name} is needed: give it with {flag.name}-stdin or {flag.name}-env VARIABLE."
        )
    label = flag.dotted.replace("_", " ").replace(".", " ").capitalize()
    return getpass.getpass(f"{label}: ")


def _complete(request: Message, typed: Typed) -> None:
    """Fills in what can be told from the rest: the request_id and an update mask."""
    fields = request.DESCRIPTOR.fields_by_name
    if _REQUEST_ID in fields and not getattr(request, _REQUEST_ID):
        setattr(request, _REQUEST_ID, str(uuid.uuid4()))
    for one in descriptor_of(request).fields:
        allowed = mask_paths(one)
        if allowed and not request.HasField(one.name):
            paths = list(_changed(typed, allowed))
            if paths:
                getattr(request, one.name).paths.extend(paths)


def _changed(typed: Typed, allowed: list[str]) -> Iterator[str]:
    for flag in typed.given:
        if any(flag.dotted == path or flag.dotted.startswith(f"{path}.") for path in allowed):
            yield flag.dotted


def _value(request: Message, flag: Flag) -> Any:
    value: Any = request
    for one in flag.path:
        value = getattr(value, one.name)
    return value


def _stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise UsageError("Standard input is not UTF-8.") from None
