"""Rows that cannot be read, whatever wrote them."""

from __future__ import annotations

import uuid

import pytest
from samples import SAMPLES

from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.rows import read_row, readable
from nexpo_db_worker.capabilities.table import Type
from nexpo_runtime.telemetry.metrics import UNREADABLE


def test_a_row_that_nobody_can_read_is_counted_every_time_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def moment(value: object) -> object:
        raise ValueError(f"{value} is no time")

    own_id, raw = uuid.uuid4().hex, {"name": "n", "born": "a secret"}
    count = UNREADABLE.labels("eu")
    before = count._value.get()
    for _ in range(3):
        row = read_row(SAMPLES, own_id, raw, {Type.TIME: moment})
        assert (row.name, row.place, row.values) == ("n", None, {})
        assert readable(Origin("eu", "Bare"), row, dict) is None
    assert count._value.get() - before == 3
    [line] = [record.getMessage() for record in caplog.records if own_id in record.getMessage()]
    assert "ValueError" in line
    assert "secret" not in line
