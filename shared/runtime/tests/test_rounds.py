"""Work in rounds goes on whatever happens to one of them; on a clock that jumps."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest
import structlog

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.service.rounds import rounds
from nexpo_runtime.workflow.virtual_time import VirtualTimeLoop


def begun_in(hours: float, *failures: Exception | None) -> tuple[list[float], list[str]]:
    """When rounds began, by the hour, of which the first ones end so; and what was logged."""
    begun: list[float] = []

    async def work() -> None:
        begun.append(asyncio.get_running_loop().time())
        error = failures[len(begun) - 1] if len(begun) <= len(failures) else None
        if error is not None:
            raise error

    async def day() -> None:
        async with rounds("work", work, timedelta(hours=1)):
            await asyncio.sleep(hours * 3600)
        await asyncio.sleep(3 * 3600)

    with (
        structlog.testing.capture_logs() as logged,
        asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ):
        runner.run(day())
    return begun, [line["event"] for line in logged]


def test_a_round_comes_every_time_and_none_after_the_end() -> None:
    begun, logged = begun_in(24)
    assert len(begun) == 24
    assert 0 <= begun[0] < 3600
    pauses = {round(later - earlier) for earlier, later in itertools.pairwise(begun)}
    assert pauses == {3600}
    assert logged == []


def test_services_that_start_together_do_not_work_together() -> None:
    assert len({begun_in(1)[0][0] for _ in range(5)}) > 1


@pytest.mark.parametrize(
    ("failure", "logged"),
    [
        (Fault(Reason.REASON_OBJECT_STORE_UNAVAILABLE), "round failed; the next one comes"),
        (KeyError("a bug"), "round failed by a bug; the next one comes"),
        (TimeoutError(), "round failed by a bug; the next one comes"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_round_that_fails_is_logged_and_the_next_one_comes(
    failure: Exception, logged: str
) -> None:
    begun, lines = begun_in(6, failure, failure)
    assert len(begun) == 6
    assert lines == [logged, logged]
