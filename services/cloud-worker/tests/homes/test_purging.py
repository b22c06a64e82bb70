"""The cloud-worker's purge in the background, on a clock that jumps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_cloud_worker.homes import purging as purge
from nexpo_cloud_worker.homes.homes import Homes
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow.virtual_time import VirtualTimeLoop


class Recorded(Homes):
    """Homes that record what is purged, and fail in the second round."""

    def __init__(self) -> None:
        self.calls: list[tuple[datetime, str]] = []

    async def purge(self, before: datetime, pages: int, after: str = "") -> tuple[int, str]:
        self.calls.append((before, after))
        if len(self.calls) == 2:
            raise Fault(Reason.REASON_OBJECT_STORE_UNAVAILABLE)
        return 1, f"page {len(self.calls)}"


def purged(hours: float) -> Recorded:
    """What a worker that runs so long purges."""
    homes = Recorded()

    async def whole() -> None:
        async with purge.purging(homes):
            await asyncio.sleep(hours * 3600)

    with (
        structlog.testing.capture_logs(),
        asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ):
        runner.run(whole())
    return homes


def test_a_fence_is_kept_for_seven_days() -> None:
    week_ago = datetime.now(UTC) - timedelta(days=7)
    for before, _ in purged(3).calls:
        assert abs(before - week_ago) < timedelta(minutes=1)


def test_a_purge_goes_on_after_a_fault_where_it_was() -> None:
    places = [after for _, after in purged(5).calls]
    assert places == ["", "page 1", "page 1", "page 3", "page 4"]
