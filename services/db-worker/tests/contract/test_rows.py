"""Rows that cannot be read, whatever wrote them."""

from __future__ import annotations

import uuid

import pytest

from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.rows import Row, Values, readable
from nexpo_runtime.telemetry.metrics import UNREADABLE


def test_a_row_that_nobody_can_read_is_counted_every_time_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def make(values: Values) -> object:
        raise ValueError(f"{values['born']} is no time")

    own_id = uuid.uuid4().hex
    row = Row(own_id, {"born": "a secret"}, "u", None)
    count = UNREADABLE.labels("archive")
    before = count._value.get()
    for _ in range(3):
        assert readable(Origin("archive", "Archive"), row, make) is None
    assert count._value.get() - before == 3
    [line] = [record.getMessage() for record in caplog.records if own_id in record.getMessage()]
    assert "ValueError" in line
    assert "secret" not in line
