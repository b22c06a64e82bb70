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
    for message in contract.messages.values():
        if message.file not in files:
            continue
        for field in message.fields.values():
            for advice in _field(field):
                yield Problem(field.place, f"{message.local_name}.{field.name}", advice)
    for service in contract.services():
        for method in service.of_kind("start"):
            for path, field in _exposed(method.request, contract, False, (method.request,)):
                yield Problem(
                    field.place,
                    f"{service.name}.{method.name}",
                    f'"{path}" becomes the search attribute {field.search_attribute}, clear text,'
                    " but a sensitive field holds it; remove search_attribute",
                )


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


def _exposed(
    message: Message, contract: Contract, hidden: bool, above: tuple[Message, ...]
) -> Iterator[tuple[str, Field]]:
    """Search attributes below a sensitive field, with their paths."""
    for field in message.fields.values():
        if hidden and field.search_attribute:
            yield field.name, field
        inner = contract.messages.get(field.type_name)
        if inner is not None and inner not in above:
            below = hidden or bool(field.sensitive)
            for path, found in _exposed(inner, contract, below, (*above, inner)):
                yield f"{field.name}.{path}", found
