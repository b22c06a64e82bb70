"""What comes with an HTTP request beside its message."""

from __future__ import annotations

import time

import pytest

from nexpo_gateway.context import CallContext
from nexpo_gateway.http.heads import apply_timeout


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [("2H", 7200), ("3M", 180), ("5S", 5), ("1500m", 1.5), ("20000u", 0.02), ("7n", 7e-9)],
)
def test_a_deadline_has_the_units_of_grpc(timeout: str, seconds: float) -> None:
    context = CallContext({"grpc-timeout": timeout}, "127.0.0.1")
    before = time.monotonic()
    apply_timeout(context)
    assert before + seconds <= context.deadline <= time.monotonic() + seconds
