"""What must be carried out: undos, steps after the pivot, and the humans who help."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from google.protobuf.message import Message

from nexpo.contract import Activity, Call, WorkflowContract
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeRequest, ProbeResponse
from nexpo.operations.v1.operations_pb2 import (
    MarkOperationTaskDoneRequest,
    OperationTask,
    Progress,
    RetryOperationTaskRequest,
    Step,
)
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.local_engine import Attempt, LocalOperation
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.virtual_time import VirtualTimeLoop

T = TypeVar("T")

BEFORE, AFTER = "reserve", "write"
_ATTEMPT_SECONDS = 0.01
_CONTRACT: WorkflowContract[object] = WorkflowContract(
    name="sample.v1.Forward",
    queue="sample",
    request=CheckHealthRequest,
    response=ProbeResponse,
    deadline=timedelta(hours=1),
    handlers=(),
)


def _call() -> Call[ProbeResponse]:
    probe = Activity("sample.v1.Probe", "sample", ProbeRequest, ProbeResponse, timedelta(seconds=5))
    return Call(probe, ProbeRequest())


@operation(_CONTRACT)
class Forward(Operation[CheckHealthRequest, ProbeResponse]):
    """One step before the pivot, two at once after it, and one that may be left out."""

    breaks = False

    async def execute(self, request: CheckHealthRequest) -> ProbeResponse:
        async with self.saga() as saga:
            await saga.step(BEFORE, _call())
            self.pivot()
            answers = await saga.all([saga.step(AFTER, _call()), saga.step("other", _call())])
            await saga.optional(saga.step("greet", _call()))
            if self.breaks:
                raise KeyError("an author's mistake")
        return answers[0]


@operation(_CONTRACT)
class Broken(Forward):
    """Fails after its pivot by a mistake of its author."""

    breaks = True


@operation(_CONTRACT)
class Overtaken(Operation[CheckHealthRequest, ProbeResponse]):
    """A step is under way when something else takes the operation past its pivot."""

    async def execute(self, request: CheckHealthRequest) -> ProbeResponse:
        async with self.saga() as saga:
            asyncio.get_running_loop().call_later(_ATTEMPT_SECONDS / 2, self.pivot)
            return await saga.step(AFTER, _call())


class Scene:
    """A running operation whose calls fail as often as a test says, for ever by default."""

    def __init__(self, workflow: type[Operation[Any, Any]], **failures: float) -> None:
        self.failures = Counter(failures)
        self.attempts: Counter[str] = Counter()
        self.seen: list[Progress] = []
        self.operation = LocalOperation(
            workflow,
            CheckHealthRequest(),
            "acme/forward",
            "run",
            self._attempt,
            self.seen.append,
        )
        self.ended: asyncio.Task[Any] = self.operation.start()

    async def _attempt(self, attempt: Attempt) -> Message:
        self.attempts[attempt.name] += 1
        await asyncio.sleep(_ATTEMPT_SECONDS)
        if self.failures[attempt.name.partition(",")[0]] > 0:
            self.failures[attempt.name.partition(",")[0]] -= 1
            raise Fault(Reason.REASON_STORE_REFUSED)
        return ProbeResponse(service="done")

    @property
    def now(self) -> Progress:
        return self.seen[-1]

    def step(self, name: str) -> Step:
        return next(step for step in self.now.steps if step.name == name)

    async def blocked(self) -> OperationTask:
        async with asyncio.timeout(3600):
            while not self.seen or not self.now.tasks:  # noqa: ASYNC110  # a virtual clock
                await asyncio.sleep(1)
        return self.now.tasks[0]

    async def send(self, method: str, request: Message) -> None:
        await self.operation.send(f"nexpo.operations.v1.{method}", request)


def virtually(test: Callable[[], Awaitable[T]]) -> T:
    async def within() -> T:
        async with asyncio.timeout(7 * 86_400):
            return await test()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(within())


def test_a_step_after_the_pivot_is_tried_until_the_store_takes_it() -> None:
    async def test() -> None:
        scene = Scene(Forward, **{AFTER: 12})  # more often than a step before it is tried
        assert (await scene.ended).service == "done"
        assert scene.attempts[AFTER] == 13
        assert scene.now.state == Progress.SUCCEEDED
        states = {progress.state for progress in scene.seen}
        assert states == {Progress.RUNNING, Progress.SUCCEEDED}

    virtually(test)


def test_before_the_pivot_it_fails_and_is_not_tried_for_ever() -> None:
    async def test() -> None:
        scene = Scene(Forward, **{BEFORE: float("inf")})
        with pytest.raises(Fault):
            await scene.ended
        assert scene.now.state == Progress.FAILED
        assert not scene.now.tasks

    virtually(test)


def test_what_a_store_refuses_after_the_pivot_becomes_a_task_and_ends_by_retry() -> None:
    async def test() -> None:
        scene = Scene(Forward, **{AFTER: float("inf")})
        began = flow_time()
        task = await scene.blocked()
        assert flow_time() - began >= flow.TASK_AFTER.total_seconds()
        assert (task.kind, task.step, task.task) == (OperationTask.STEP, AFTER, AFTER)
        assert scene.now.state == Progress.BLOCKED
        assert scene.step(AFTER).state == Step.BLOCKED
        assert scene.step("other").state == Step.DONE
        scene.operation.cancel()  # which changes nothing: it only goes forward
        await asyncio.sleep(60)
        assert scene.now.state == Progress.BLOCKED
        scene.failures[AFTER] = 0
        await scene.send("RetryOperationTask", RetryOperationTaskRequest(task=task.task))
        assert (await scene.ended).service == "done"
        assert (scene.now.state, list(scene.now.tasks)) == (Progress.SUCCEEDED, [])
        assert scene.step(AFTER).state == Step.DONE

    virtually(test)


def test_a_blocked_step_goes_on_being_tried_without_a_human() -> None:
    async def test() -> None:
        scene = Scene(Forward, **{AFTER: float("inf")})
        await scene.blocked()
        scene.failures[AFTER] = 0
        assert (await scene.ended).service == "done"
        assert scene.now.state == Progress.SUCCEEDED
        assert Progress.RUNNING in {p.state for p in scene.seen[-6:]}  # it goes on as it was

    virtually(test)


def test_a_step_that_a_human_did_counts_as_done_with_an_empty_answer() -> None:
    async def test() -> None:
        scene = Scene(Forward, **{AFTER: float("inf")})
        task = await scene.blocked()
        await scene.send("MarkOperationTaskDone", MarkOperationTaskDoneRequest(task=task.task))
        assert await scene.ended == ProbeResponse()
        assert scene.step(AFTER).state == Step.DONE
        assert scene.now.state == Progress.SUCCEEDED

    virtually(test)


def test_a_step_that_began_before_the_pivot_must_be_done_once_it_is_passed() -> None:
    async def test() -> None:
        scene = Scene(Overtaken, **{AFTER: float("inf")})
        task = await scene.blocked()
        scene.failures[AFTER] = 0
        await scene.send("RetryOperationTask", RetryOperationTaskRequest(task=task.task))
        assert (await scene.ended).service == "done"

    virtually(test)


def test_a_step_that_the_operation_can_do_without_is_left_out_also_after_the_pivot() -> None:
    async def test() -> None:
        scene = Scene(Forward, greet=float("inf"))
        await scene.ended
        assert scene.step("greet").state == Step.SKIPPED
        assert scene.attempts["greet"] < 10

    virtually(test)


def test_an_operation_that_fails_after_its_pivot_waits_for_a_human_and_then_fails() -> None:
    async def test() -> None:
        scene = Scene(Broken)
        task = await scene.blocked()
        assert (task.kind, task.reason) == (OperationTask.FINISH, "")
        assert scene.step(task.step).reason == "INTERNAL"
        assert scene.now.state == Progress.BLOCKED
        scene.operation.cancel()
        await asyncio.sleep(86_400)
        assert not scene.ended.done()
        await scene.send("MarkOperationTaskDone", MarkOperationTaskDoneRequest(task=task.task))
        with pytest.raises(Fault) as failed:
            await scene.ended
        assert failed.value.reason == Reason.REASON_INTERNAL
        assert (scene.now.state, list(scene.now.tasks)) == (Progress.FAILED, [])
        assert not any(step.state == Step.UNDONE for step in scene.now.steps)

    virtually(test)


def flow_time() -> float:
    return asyncio.get_running_loop().time()


def test_of_two_decisions_at_once_what_a_human_did_stands() -> None:
    async def test(first: str, second: str) -> None:
        scene = Scene(Forward, **{AFTER: float("inf")})
        task = await scene.blocked()
        requests = {
            "MarkOperationTaskDone": MarkOperationTaskDoneRequest(task=task.task),
            "RetryOperationTask": RetryOperationTaskRequest(task=task.task),
        }
        await asyncio.gather(*(scene.send(name, requests[name]) for name in (first, second)))
        async with asyncio.timeout(3600):
            assert await scene.ended == ProbeResponse()
        # The task itself goes on under the first of these names; a retry would have the second.
        assert f"{AFTER}, retry 2" not in scene.attempts

    for order in (
        ("RetryOperationTask", "MarkOperationTaskDone"),
        ("MarkOperationTaskDone", "RetryOperationTask"),
    ):
        virtually(functools.partial(test, *order))


def test_a_retry_that_fails_again_leaves_the_task_open_and_each_task_stands_for_itself() -> None:
    async def test() -> None:
        scene = Scene(Forward, **{AFTER: float("inf"), "other": float("inf")})
        await scene.blocked()
        await asyncio.sleep(60)
        assert {task.step for task in scene.now.tasks} == {AFTER, "other"}
        for _ in range(3):
            await scene.send("RetryOperationTask", RetryOperationTaskRequest(task=AFTER))
            await asyncio.sleep(600)
            assert {task.step for task in scene.now.tasks} == {AFTER, "other"}
        # A try that was given up may be under way still: the next one is not taken for it.
        tries = [AFTER, *(f"{AFTER}, retry {number}" for number in range(1, 5))]
        assert [name for name in scene.attempts if name.startswith(AFTER)] == tries
        await scene.send("MarkOperationTaskDone", MarkOperationTaskDoneRequest(task=AFTER))
        await asyncio.sleep(1)
        assert [task.step for task in scene.now.tasks] == ["other"]
        assert scene.now.state == Progress.BLOCKED
        with pytest.raises(Fault) as refused:
            await scene.send("MarkOperationTaskDone", MarkOperationTaskDoneRequest(task=AFTER))
        assert refused.value.reason == Reason.REASON_TASK_NOT_FOUND
        scene.failures["other"] = 0
        assert await scene.ended == ProbeResponse()

    virtually(test)
