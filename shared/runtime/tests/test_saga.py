"""A saga of any author, in process, on a clock that jumps: what its undo is and is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from google.protobuf.message import Message

from nexpo.ai.v1.ai_pb2 import WriteWelcomeRequest
from nexpo.contract import Activity, Call, Retry, WorkflowContract
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeResponse
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow.local_engine import Attempt, LocalOperation
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga, SagaStep
from nexpo_runtime.workflow.virtual_time import VirtualTimeLoop

REFUSED = Fault(Reason.REASON_STORE_REFUSED)
STOPPING_SECONDS = 3.0

act = Activity(
    name="sample.v1.Act",
    queue="sample",
    request=WriteWelcomeRequest,
    response=ProbeResponse,
    start_to_close=timedelta(minutes=5),
    heartbeat=None,
    retry=Retry.RETRY_STANDARD,
)

TripContract: WorkflowContract[object] = WorkflowContract(
    name="sample.v1.Trip",
    queue="sample",
    request=CheckHealthRequest,
    response=ProbeResponse,
    deadline=timedelta(minutes=10),
    handlers=(),
)


def step(saga: Saga, name: str) -> SagaStep[ProbeResponse]:
    """A step with an undo."""
    return saga.step(name, act(WriteWelcomeRequest()), undo=act(WriteWelcomeRequest()))


@operation(TripContract)
class Trip(Operation[CheckHealthRequest, ProbeResponse]):
    """Books a seat, then a room and a car side by side; a tip may fail; then it pays."""

    async def execute(self, request: CheckHealthRequest) -> ProbeResponse:
        async with self.saga() as saga:
            await step(saga, "seat")
            await saga.all([step(saga, "room"), step(saga, "car")])
            await saga.optional(saga.step("tip", act(WriteWelcomeRequest())))
            await saga.step("pay", act(WriteWelcomeRequest()))
        return ProbeResponse(service="booked")


World = Callable[[Attempt], object]
"""What becomes of an attempt: a Fault to raise, seconds to take, or None for at once."""

ResponseT = TypeVar("ResponseT", bound=Message)


class Ending(LocalOperation):
    """An engine that ends the calls of an undo in spite of their endless retry, so often."""

    ends = 3

    async def call(self, call: Call[ResponseT], name: str) -> ResponseT:
        if name.startswith("undo") and self.ends:
            self.ends -= 1
            raise Fault(Reason.REASON_INTERNAL)
        return await super().call(call, name)


class Course:
    """One trip and the attempts that it made."""

    def __init__(self, world: World, engine: type[LocalOperation] = LocalOperation) -> None:
        self.attempts: list[Attempt] = []
        self.under_way: list[str] = []
        self.found_under_way: dict[str, list[str]] = {}
        self.progress = Progress()
        self._world = world
        self.trip = engine(
            Trip,
            CheckHealthRequest(),
            "acme/sample.v1.Trip/1",
            "00000000-0000-0000-0000-000000000001",
            self._attempt,
            self._report,
        )

    def names(self) -> list[str]:
        """The calls in the order of their first attempts."""
        return list(dict.fromkeys(attempt.name for attempt in self.attempts))

    def run(self, cancel_after: float | None = None) -> Fault | None:
        """Runs the trip to its end on a clock of its own; why it failed."""
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            clock = runner.get_loop()
            assert isinstance(clock, VirtualTimeLoop)
            clock.allow(timedelta(hours=1), 100_000)
            return runner.run(self._ended(cancel_after))

    async def _ended(self, cancel_after: float | None) -> Fault | None:
        task = self.trip.start()
        if cancel_after is not None:
            asyncio.get_running_loop().call_later(cancel_after, self.trip.cancel)
        try:
            await task
        except Fault as fault:
            return fault
        return None

    async def _attempt(self, attempt: Attempt) -> Message:
        self.attempts.append(attempt)
        self.found_under_way.setdefault(attempt.name, list(self.under_way))
        self.under_way.append(attempt.name)
        try:
            outcome = self._world(attempt)
            if isinstance(outcome, Fault):
                raise outcome
            await asyncio.sleep(float(str(outcome or 0)))
        except asyncio.CancelledError:
            await asyncio.sleep(STOPPING_SECONDS)  # As a call over a network needs.
            raise
        finally:
            self.under_way.remove(attempt.name)
        return ProbeResponse()

    def run_and_drop(self, cancel_after: float, drop_after: float) -> bool:
        """Cancels the trip and drops it later; whether it was over a second after that."""
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(self._dropped(cancel_after, drop_after))

    async def _dropped(self, cancel_after: float, drop_after: float) -> bool:
        task = self.trip.start()
        await asyncio.sleep(cancel_after)
        self.trip.cancel()
        await asyncio.sleep(drop_after)
        assert not task.done()
        self.trip.drop()
        done, _ = await asyncio.wait([task], timeout=1)
        return bool(done)

    def _report(self, progress: Progress) -> None:
        self.progress = progress

    def states(self) -> dict[str, Step.State.ValueType]:
        """Where each step stands."""
        return {step.name: step.state for step in self.progress.steps}


def refusing(*names: str) -> World:
    """Refuses these calls for good."""
    return lambda attempt: REFUSED if attempt.name in names else None


def test_undo_is_last_in_first_out_and_a_group_together() -> None:
    course = Course(refusing("pay"))
    fault = course.run()
    assert fault is not None
    assert fault.reason == Reason.REASON_STORE_REFUSED
    undos = course.names()[-3:]
    assert undos[:2] == ["undo room", "undo car"]
    assert undos[2] == "undo seat"
    assert course.found_under_way["undo car"] == ["undo room"]
    assert course.found_under_way["undo seat"] == []
    undone = {name for name, state in course.states().items() if state == Step.UNDONE}
    assert undone == {"seat", "room", "car"}


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_group_is_undone_when_all_its_steps_have_stopped(cancelled: bool) -> None:
    def world(attempt: Attempt) -> object:
        if attempt.name == "room":
            return 100 if cancelled else REFUSED
        return 60 if attempt.name == "car" else None

    course = Course(world)
    assert course.run(cancel_after=5 if cancelled else None) is not None
    assert course.found_under_way["undo room"] == []
    assert course.found_under_way["undo car"] == ["undo room"]


def test_a_cancel_in_an_optional_step_undoes_at_once() -> None:
    course = Course(lambda attempt: 100 if attempt.name == "tip" else None)
    fault = course.run(cancel_after=5)
    assert fault is not None
    assert fault.reason == Reason.REASON_OPERATION_CANCELLED
    assert "pay" not in course.names()
    assert course.names()[-1] == "undo seat"


def test_an_optional_step_that_fails_is_left_out() -> None:
    course = Course(refusing("tip"))
    assert course.run() is None
    assert course.states()["tip"] == Step.SKIPPED
    assert course.names()[-1] == "pay"


def test_an_undo_is_retried_without_limit_also_once_it_is_a_humans_task() -> None:
    tried: list[str] = []

    def world(attempt: Attempt) -> object:
        if attempt.name.startswith("undo car"):
            tried.append(attempt.name)
            return REFUSED if len(tried) <= 40 else None
        return REFUSED if attempt.name == "pay" else None

    course = Course(world)
    assert course.run() is not None
    numbers = [a.number for a in course.attempts if a.name.startswith("undo car")]
    alone = tried.count("undo car")
    assert numbers == [*range(1, alone + 1), *range(1, 42 - alone)]
    assert set(tried) == {"undo car", "undo car, retry 1"}
    assert course.states()["car"] == Step.UNDONE


def test_an_undo_whose_call_the_engine_ends_is_called_again() -> None:
    course = Course(refusing("pay"), engine=Ending)
    assert course.run() is not None
    assert {"undo seat", "undo room, retry 1", "undo car, retry 1"} <= set(course.names())
    assert {s for n, s in course.states().items() if n in ("seat", "room", "car")} == {Step.UNDONE}
    assert course.progress.state == Progress.FAILED


def test_what_is_dropped_ends_at_once_also_while_it_undoes() -> None:
    def world(attempt: Attempt) -> object:
        if attempt.name == "pay":
            return 100
        return REFUSED if attempt.name.startswith("undo car") else None

    course = Course(world)
    assert course.run_and_drop(cancel_after=5, drop_after=3600)
    assert course.progress.state == Progress.UNDO_BLOCKED
