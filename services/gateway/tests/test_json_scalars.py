"""JSON values for single fields: what passes, and what does not in plain words."""

from __future__ import annotations

import pytest
from google.protobuf import wrappers_pb2

from nexpo_gateway.http.json_scalars import scalar_problem

WHOLE, FINITE = "must be a whole number", "must be a finite number"


def problem(kind: str, value: object) -> str:
    """What is wrong with the value for a field of the kind."""
    message = getattr(wrappers_pb2, f"{kind}Value")
    return scalar_problem(value, message.DESCRIPTOR.fields_by_name["value"])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Int64", "-9223372036854775808"),
        ("Int64", 9223372036854775807),
        ("UInt64", "18446744073709551615"),
        ("Int32", 5.0),
        ("Double", "1e3"),
        ("Double", -2),
        ("Bytes", "-_8"),
        ("Bytes", "+/8="),
        ("Bool", False),
        ("String", ""),
    ],
)
def test_a_value_of_the_fields_kind_passes(kind: str, value: object) -> None:
    assert problem(kind, value) == ""


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("Int64", "9223372036854775808", "must be between -9223372036854775808 and "),
        ("UInt64", "-1", "must be between 0 and 18446744073709551615"),
        ("Int32", 2**31, "must be between -2147483648 and 2147483647"),
        ("Int32", 1.5, WHOLE),
        ("Int32", True, WHOLE),
        ("Int32", "1_0", WHOLE),
        ("Int64", "٣", WHOLE),
        ("Int64", "9" * 5000, WHOLE),
        ("Double", True, FINITE),
        ("Double", "NaN", FINITE),
        ("Double", 10**400, FINITE),
        ("Bytes", "*", "must be base64"),
        ("Bytes", "a", "must be base64"),
        ("Bool", 1, "must be true or false"),
        ("String", 1, "must be a text"),
        ("String", "\ud800", "is not valid Unicode"),
    ],
)
def test_a_value_of_another_kind_is_told(kind: str, value: object, said: str) -> None:
    assert problem(kind, value).startswith(said)
