"""The operation that a call of a native method names."""

from __future__ import annotations

import pytest

from nexpo_gateway.operations.native import named
from nexpo_runtime.errors import Fault


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "INVALID_ARGUMENT"),
        ("operations/acme~t~1", "OPERATION_NOT_FOUND"),
        ("operations/other~t~1~run", "OPERATION_NOT_FOUND"),
        # Temporal, too, keeps no id of that length: it would be asked for nothing.
        (f"operations/acme~t~{'x' * 512}~run", "OPERATION_NOT_FOUND"),
    ],
    ids=["none", "no name", "another tenant's", "too long"],
)
def test_what_cannot_be_the_callers_is_not_looked_for(name: str, reason: str) -> None:
    with pytest.raises(Fault) as refused:
        named(name, "acme", "name")
    assert refused.value.name == reason


def test_whoever_may_see_all_tenants_names_anyones() -> None:
    assert named("operations/other~t~1~run", None, "name").tenant == "other"
