"""Validation of requests by the rules of their fields."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import protovalidate
from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

from .elements import has_more_elements

MOST_VIOLATIONS = 20
"""How many a refusal lists; beyond, it says how many more there are."""

OMITTED = "violations_omitted"
"""Metadata of a fault: how many violations it does not list."""

# Up to here every violation is looked for: some cost 15 microseconds, and each element may be one.
_ELEMENTS_IN_FULL = 1000
_NAMED_FIELDS = 5


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
    # A rule over the whole message has no field: its own words say what is wrong.
    named = {violation.field or violation.description.rstrip(".") for violation in shown}
    names = sorted(named)[:_NAMED_FIELDS]
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
