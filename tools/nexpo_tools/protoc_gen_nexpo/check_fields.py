"""Checks what the options say of fields."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from itertools import chain

from nexpo_tools.protoc_gen_nexpo.model import Contract, Field, Message, Problem

_ATTRIBUTE = re.compile(r"[A-Z][A-Za-z0-9]*")
# What never passes the gateway as it came.
_REPLACED = ("HASH", "DIGEST")
_ATTRIBUTE_SCALARS = {"string", "bool", "int32", "int64", "uint32", "uint64", "double", "enum"}


def check_fields(contract: Contract) -> Iterator[Problem]:
    """Problems of every field of the files to generate."""
    files = {file.name for file in contract.files}
    starts = {m.request.full_name for s in contract.services() for m in s.of_kind("start")}
    for message in contract.messages.values():
        if message.file not in files:
            continue
        for field, advice in _fields(message, message.full_name in starts, contract.reserved):
            yield Problem(field.place, f"{message.local_name}.{field.name}", advice)


def _fields(
    message: Message, starts: bool, reserved: frozenset[str]
) -> Iterator[tuple[Field, str]]:
    seen: dict[str, str] = {}
    for field in message.fields.values():
        for advice in chain(_field(field), _protection(field, message)):
            yield field, advice
        attribute = field.search_attribute
        if not attribute:
            continue
        if attribute in reserved:
            yield field, f"search attribute {attribute} is the runtime's own; rename it"
        if not starts:
            # The gateway reads them from the request itself when it starts the operation.
            advice = (
                "is no field of a start's own request, so it never becomes the search attribute"
                f" {attribute}; move it there, or remove search_attribute"
            )
            yield field, advice
        if attribute in seen:
            other = seen[attribute]
            yield field, f"search attribute {attribute} is that of {other} too; rename one"
        seen.setdefault(attribute, field.name)


def _protection(field: Field, message: Message) -> Iterator[str]:
    """What is wrong with how a secret is protected."""
    level = f"SENSITIVE_{field.sensitive}"
    if field.sensitive not in _REPLACED:
        if field.protected_as:
            yield "protected_as says what becomes of a SENSITIVE_HASH or _DIGEST; remove it"
        return
    if not _is_text(field):
        yield f"{level} needs a single string; use SENSITIVE_REDACT"
        return
    if not field.protected_as:
        advice = f"a string {field.name}_{field.sensitive.lower()}, SENSITIVE_REDACT"
        yield f"{level} needs protected_as, the field that takes what is made of it: {advice}"
        return
    target = message.fields.get(field.protected_as)
    if target is None or not _is_text(target) or target.sensitive != "REDACT" or target.rules:
        yield (
            f'protected_as names "{field.protected_as}", which must be a single string of the'
            " message, SENSITIVE_REDACT and without rules"
        )
    elif message.unprotected(target) != field.name:
        yield f'protected_as "{target.name}" is that of another field too; name one of its own'


def _is_text(field: Field) -> bool:
    return (field.scalar, field.shape) == ("string", "one")


def _field(field: Field) -> Iterator[str]:
    if keyword.iskeyword(field.name):
        yield "is a keyword of Python; rename it"
    if field.multiline and field.scalar != "string":
        yield "is no text, so it has no lines; remove multiline"
    if not field.search_attribute:
        return
    if field.sensitive:
        yield "is sensitive and a search attribute, which is clear text; remove one of them"
    if not _ATTRIBUTE.fullmatch(field.search_attribute):
        yield f'search attribute "{field.search_attribute}" must look like NexpoPlan; rename it'
    if field.scalar not in _ATTRIBUTE_SCALARS or field.shape != "one":
        yield "only a single text, number, bool or enum can be a search attribute; remove it"
