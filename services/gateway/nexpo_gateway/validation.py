"""Validation of requests, and the normal form of e-mail addresses before it."""

from __future__ import annotations

import functools
import unicodedata

import idna
import protovalidate
from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

from .texts import texts


def check(request: Message) -> None:
    """Checks the request against its rules.

    Raises:
        Fault: INVALID_ARGUMENT, with every violation.
    """
    violations = [
        FieldViolation(_path(violation.proto), violation.proto.message or "is not valid")
        for violation in protovalidate.collect_violations(request)
    ]
    if violations:
        raise invalid(violations)


def invalid(violations: list[FieldViolation]) -> Fault:
    """The fault for malformed fields."""
    count = len(violations)
    # A rule over the whole message has no field: its own words say what is wrong.
    named = {violation.field or violation.description.rstrip(".") for violation in violations}
    fields = ", ".join(sorted(named)[:5])
    problem = "One problem" if count == 1 else f"{count} problems"
    return Fault(
        Reason.REASON_INVALID_ARGUMENT, f"{problem} in the request: {fields}.", fields=violations
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
