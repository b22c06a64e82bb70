"""Validation of requests, and the normal form of e-mail addresses before it."""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections.abc import Iterable

import idna
import protovalidate
from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

from .elements import has_more_elements
from .texts import texts

MOST_VIOLATIONS = 20
"""How many a refusal lists; beyond, it says how many more there are."""

OMITTED = "violations_omitted"
"""Metadata of a fault: how many violations it does not list."""

# Up to here every violation is looked for: some cost 15 microseconds, and each element may be one.
_ELEMENTS_IN_FULL = 1000
_NAMED_FIELDS = 5

# More than any address has: the work grows faster than the text.
_LONGEST_EMAIL = 1000


def check(request: Message) -> None:
    """Checks the request against its rules.

    Raises:
        Fault: INVALID_ARGUMENT, with every violation; of a large request the first.
    """
    large = has_more_elements(request, _ELEMENTS_IN_FULL)
    violations = protovalidate.collect_violations(request, fail_fast=large)
    if violations:
        raise invalid(
            FieldViolation(_path(violation.proto), violation.proto.message or "is not valid")
            for violation in violations
        )


def invalid(violations: Iterable[FieldViolation]) -> Fault:
    """The fault for malformed fields: the first of them, and how many more there are."""
    every = iter(violations)
    shown = list(itertools.islice(every, MOST_VIOLATIONS))
    omitted = sum(1 for _ in every)
    count = len(shown) + omitted
    names = sorted({violation.field or "the request" for violation in shown})[:_NAMED_FIELDS]
    problem = "One problem" if count == 1 else f"{count} problems"
    message = f"{problem} in the request: {', '.join(names)}"
    message += f"; {omitted} of them are not listed." if omitted else "."
    return Fault(
        Reason.REASON_INVALID_ARGUMENT,
        message,
        fields=shown,
        metadata={OMITTED: str(omitted)} if omitted else {},
    )


def _path(violation: object) -> str:
    """The violation's path as people write it: a.b[0].c, a["key"]."""
    text = ""
    field = getattr(violation, "field", None)
    for element in getattr(field, "elements", ()):
        text += f".{element.field_name}" if text else element.field_name
        if element.subscript is not None:
            value = element.subscript.value
            text += f"[{value}]" if element.subscript.field == "index" else f'["{value}"]'
    return text


def normalise_emails(request: Message) -> None:
    """Brings every field with the rule `email` into its normal form.

    NFC and lower case, the domain in its ASCII form (IDNA 2008, UTS 46): so that
    one address has one spelling before anything compares or records it.
    """
    for text in list(texts(request, _is_email)):
        text.replace(normal_email(text.value))


def normal_email(address: str) -> str:
    """The normal form; what is no address stays as it is, for validation to refuse."""
    if len(address) > _LONGEST_EMAIL:
        return address
    local, at, domain = unicodedata.normalize("NFC", address).rpartition("@")
    try:
        domain = idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return address
    return f"{local.lower()}{at}{domain}"


@functools.cache  # of the contract's fields: reading options costs more than what they say
def _is_email(field: FieldDescriptor) -> bool:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return bool(rules.string.email or rules.repeated.items.string.email)
