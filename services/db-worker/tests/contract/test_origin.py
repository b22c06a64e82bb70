"""What the log says of a driver's error."""

from __future__ import annotations

import uuid

import asyncpg
import pytest

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.origin import Origin


def test_an_error_is_logged_once_by_type_code_and_mend_and_never_by_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    origin = Origin(uuid.uuid4().hex, "Bare")
    for _ in range(3):
        error = asyncpg.TooManyConnectionsError("secret")
        origin.fault(Reason.REASON_STORE_THROTTLED, error, mend="wait")

    assert caplog.messages == [
        "Bare: REASON_STORE_THROTTLED, from TooManyConnectionsError, code 53300: wait"
    ]
