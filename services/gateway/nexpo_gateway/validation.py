"""Validation of requests by the rules of their fields."""

from __future__ import annotations

import protovalidate
from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation


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
