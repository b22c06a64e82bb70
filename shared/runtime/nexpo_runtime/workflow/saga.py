"""The saga: steps with their undos, each effect fenced by its key.

The undo is registered before its step runs, so nothing that may have happened
is ever forgotten; undos run last in, first out, those of one parallel group
together. A step's key is `{workflow_id}/{step}`, never with the attempt: the
saga writes it into the request's field `key`, so an author cannot get it wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from google.protobuf.message import Message

from nexpo.contract import Call
from nexpo.operations.v1.operations_pb2 import OperationTask, Progress

from .. import names
from ..errors import Fault
from . import flow
from .progress import Tracker
from .steps import require_keys
from .tasks import OperationTasks

ResponseT = TypeVar("ResponseT", bound=Message)
Undo = Call[Any]


def step_key(step: str) -> str:
    """Key of a step's effect: the same on every attempt and in its undo."""
    return names.step_key(flow.workflow_id(), step)


@dataclass(frozen=True, slots=True)
class SagaStep(Generic[ResponseT]):
    """One step, not yet run; awaiting it runs it."""

    saga: Saga
    name: str
    do: Call[ResponseT]
    undo: Undo | None
    target: str

    def __await__(self) -> Generator[Any, None, ResponseT]:
        return self.saga.run(self).__await__()


class Saga:
    """Runs steps and, when its block ends with an error, undoes them.

    After the pivot there is no way back, so a step that the operation cannot do
    without is tried until it succeeds or a human has done it by hand; its answer
    is then an empty message.
    """

    def __init__(
        self, tracker: Tracker, tasks: OperationTasks, stopping: Callable[[], bool]
    ) -> None:
        self._tracker = tracker
        self._tasks = tasks
        self._stopping = stopping
        self._groups: list[list[SagaStep[Any]]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        dropped = isinstance(error, asyncio.CancelledError) and not self._stopping()
        # A dropped workflow is replayed later, on this worker or on another one.
        failed = isinstance(error, Exception | asyncio.CancelledError) and not dropped
        forgotten = None if error is not None else self._tracker.plan.forgotten(self)
        if (failed or forgotten) and not self._tracker.progress.past_pivot:
            await self.undo()
        if forgotten:
            raise forgotten

    def step(
        self, name: str, do: Call[ResponseT], undo: Undo | None = None, target: str = ""
    ) -> SagaStep[ResponseT]:
        """Describes a step; await it, or hand it to `all`.

        Raises:
            ContractError: The operation has a step of this name, so both would
                have one key; or the step has an undo that no key fences.
        """
        self._tracker.plan.describe(name, self)
        require_keys(name, do, undo)
        return SagaStep(self, name, do, undo, target)

    async def run(self, step: SagaStep[ResponseT]) -> ResponseT:
        """Runs one step. Raises: Fault."""
        self._register([step])
        return await self._do(step)

    async def all(self, steps: Iterable[SagaStep[ResponseT]]) -> list[ResponseT]:
        """Runs steps in parallel, answers in their order; the first failure ends all.

        Raises:
            Fault: Of the step that failed first.
        """
        group = list(steps)
        self._register(group)
        tasks = [asyncio.create_task(self._do(step)) for step in group]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            # The fences make it safe to undo while an attempt is still in flight.
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def optional(self, step: SagaStep[ResponseT]) -> ResponseT | None:
        """Runs a step that the operation can do without; None when it failed."""
        self._register([step])
        try:
            return await self._tracked(
                step, flow.engine().call(_keyed(step.do, step.name), step.name)
            )
        except Fault as fault:
            self._tracker.skip(step.name, fault)
            return None

    async def undo(self) -> None:
        """Undoes everything that was registered; ends only when all of it is undone."""
        if self._groups:
            self._tracker.state(Progress.UNDOING, "Undoing what was done.")
        while self._groups:
            group = self._groups.pop()
            await asyncio.gather(*(self._undo(step) for step in group))

    def _register(self, group: list[SagaStep[Any]]) -> None:
        for step in group:
            self._tracker.plan.begin(step.name)
        undoable = [step for step in group if step.undo is not None]
        if undoable:
            self._groups.append(undoable)

    async def _do(self, step: SagaStep[ResponseT]) -> ResponseT:
        return await self._tracked(step, self._called(step, _keyed(step.do, step.name)))

    async def _called(self, step: SagaStep[ResponseT], call: Call[ResponseT]) -> ResponseT:
        if not self._tracker.progress.past_pivot:
            try:
                return await flow.engine().call(call, step.name)
            except Fault:
                # An update may have taken the operation past its pivot meanwhile.
                if not self._tracker.progress.past_pivot:
                    raise
        answer = await self._tasks.carried_out(step.name, step.name, call, OperationTask.STEP)
        return call.activity.response() if answer is None else answer

    async def _tracked(
        self, step: SagaStep[ResponseT], doing: Coroutine[Any, Any, ResponseT]
    ) -> ResponseT:
        self._tracker.begin(step.name, step.target)
        try:
            answer = await doing
        except Fault as fault:
            self._tracker.fail(step.name, fault)
            raise
        except asyncio.CancelledError:
            self._tracker.skip(step.name, detail="Cancelled.")
            raise
        self._tracker.done(step.name, getattr(answer, "attempt", 0))
        return answer

    async def _undo(self, step: SagaStep[Any]) -> None:
        assert step.undo is not None
        call = _keyed(step.undo, step.name)
        self._tracker.undoing(step.name, step.target)
        await self._tasks.carried_out(step.name, f"undo {step.name}", call, OperationTask.UNDO)
        self._tracker.undone(step.name)


def _keyed(call: Call[ResponseT], step: str) -> Call[ResponseT]:
    fields = call.request.DESCRIPTOR.fields_by_name
    # One that is there names another step's effect: unlocking ends what locking began.
    if "key" in fields and not call.request.key:  # type: ignore[attr-defined]  # checked
        # Into a copy: a request that two steps share would give both the first one's key.
        request = type(call.request)()
        request.CopyFrom(call.request)
        request.key = step_key(step)  # type: ignore[attr-defined]  # checked above
        return replace(call, request=request)
    return call
