"""Checks what the options say of fields."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

from nexpo_tools.protoc_gen_nexpo.model import Contract, Field, Message, Problem

_ATTRIBUTE = re.compile(r"[A-Z][A-Za-z0-9]*")
# Set by the runtime itself.
_RESERVED = {"NexpoState", "NexpoTenant"}
_ATTRIBUTE_SCALARS = {"string", "bool", "int32", "int64", "uint32", "uint64", "double", "enum"}


def check_fields(contract: Contract) -> Iterator[Problem]:
    """Problems of every field of the files to generate."""
    files = {file.name for file in contract.files}
    starts = {m.request.full_name for s in contract.services() for m in s.of_kind("start")}
    for message in contract.messages.values():
        if message.file not in files:
            continue
        for field, advice in _fields(message, message.full_name in starts):
            yield Problem(field.place, f"{message.local_name}.{field.name}", advice)


def _fields(message: Message, starts: bool) -> Iterator[tuple[Field, str]]:
    seen: dict[str, str] = {}
    for field in message.fields.values():
        for advice in _field(field):
            yield field, advice
        attribute = field.search_attribute
        if not attribute:
            continue
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


def _field(field: Field) -> Iterator[str]:
    if keyword.iskeyword(field.name):
        yield "is a keyword of Python; rename it"
    if field.sensitive in ("HASH", "DIGEST") and (field.scalar, field.shape) != ("string", "one"):
        yield f"SENSITIVE_{field.sensitive} needs a single string; use SENSITIVE_REDACT"
    if field.multiline and field.scalar != "string":
        yield "is no text, so it has no lines; remove multiline"
    if not field.search_attribute:
        return
    if field.sensitive:
        yield "is sensitive and a search attribute, which is clear text; remove one of them"
    if field.search_attribute in _RESERVED:
        yield f"search attribute {field.search_attribute} is the runtime's own; rename it"
    if not _ATTRIBUTE.fullmatch(field.search_attribute):
        yield f'search attribute "{field.search_attribute}" must look like NexpoPlan; rename it'
    if field.scalar not in _ATTRIBUTE_SCALARS or field.shape != "one":
        yield "only a single text, number, bool or enum can be a search attribute; remove it"
