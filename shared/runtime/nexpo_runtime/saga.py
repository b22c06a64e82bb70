"""The saga: steps with their undos, each effect fenced by its key.

The undo is registered before its step runs, so nothing that may have happened
is ever forgotten; undos run last in, first out, those of one parallel group
together. A step's key is `{workflow_id}/{step}`, never with the attempt: the
saga writes it into the request's field `key`, so an author cannot get it wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from google.protobuf.message import Message

from nexpo.contract import Call, Retry
from nexpo.operations.v1.operations_pb2 import Progress

from . import flow
from .errors import Fault
from .progress import Tracker, task_id

ResponseT = TypeVar("ResponseT", bound=Message)
Undo = Call[Any] | Callable[[], Call[Any]]


def step_key(step: str) -> str:
    """Key of a step's effect: the same on every attempt and in its undo."""
    # Escaped, so that no step's name can be the end of another workflow id and its step.
    return f"{flow.workflow_id()}/{step.replace('%', '%25').replace('/', '%2F')}"


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


class UndoTasks:
    """The undos that wait for a human, and what the human decided."""

    def __init__(self) -> None:
        self._decisions: dict[str, str | None] = {}

    def open(self, task: str) -> None:
        """Begins to wait for a decision."""
        self._decisions[task] = None

    def close(self, task: str) -> None:
        """The task is over."""
        self._decisions.pop(task, None)

    def is_open(self, task: str) -> bool:
        """Whether a human can decide on it now."""
        return task in self._decisions

    def decide(self, task: str, decision: str) -> None:
        """Records "retry" or "done"."""
        self._decisions[task] = decision

    def take(self, task: str) -> str | None:
        """The decision, once."""
        decision = self._decisions.get(task)
        if decision is not None:
            self._decisions[task] = None
        return decision

    def decided(self, task: str) -> bool:
        """Whether there is a decision that was not taken yet."""
        return self._decisions.get(task) is not None


class Saga:
    """Runs steps and, when its block ends with an error, undoes them."""

    def __init__(self, tracker: Tracker, tasks: UndoTasks, stopping: Callable[[], bool]) -> None:
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
        if failed and not self._tracker.progress.past_pivot:
            await self.undo()

    def step(
        self, name: str, do: Call[ResponseT], undo: Undo | None = None, target: str = ""
    ) -> SagaStep[ResponseT]:
        """Describes a step; await it, or hand it to `all`."""
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
            return await self._do(step)
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
        undoable = [step for step in group if step.undo is not None]
        if undoable:
            self._groups.append(undoable)

    async def _do(self, step: SagaStep[ResponseT]) -> ResponseT:
        self._tracker.begin(step.name, step.target)
        try:
            answer = await flow.engine().call(_keyed(step.do, step.name), step.name)
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
        call = step.undo() if callable(step.undo) else step.undo
        call = _keyed(call, step.name).retried(Retry.FOREVER)
        self._tracker.undoing(step.name, step.target)
        await self._undone(step.name, call)
        self._tracker.undone(step.name)

    async def _undone(self, name: str, call: Call[Any]) -> None:
        attempt = _begin(call, name)
        if await flow.until(attempt.done, within=flow.engine().undo_task_after):
            return attempt.result()
        task = self._tracker.block(name)
        self._tasks.open(task.task)
        retries = 0
        while not await self._done_or_decided(attempt, task.task):
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
            if self._tasks.take(task.task) == "done":
                break
            retries += 1
            # A cancelled call may be pending still, so its successor has a name of its own.
            attempt = _begin(call, f"{name}, retry {retries}")
        self._tasks.close(task_id(name))
        self._tracker.unblock(task)
        return None

    async def _done_or_decided(self, attempt: asyncio.Task[None], task: str) -> bool:
        """Waits for either; whether the undo is done."""
        await flow.until(lambda: attempt.done() or self._tasks.decided(task))
        return attempt.done()


def _begin(call: Call[Any], name: str) -> asyncio.Task[None]:
    attempt = asyncio.create_task(_persistent(call, f"undo {name}"))
    attempt.add_done_callback(lambda _: flow.changed())
    return attempt


async def _persistent(call: Call[Any], name: str) -> None:
    while True:
        try:
            await flow.engine().call(call, name)
            return
        except Fault:
            # Retry.FOREVER ends only by a fault of the engine itself: never give up.
            await flow.sleep(timedelta(minutes=1))


def _keyed(call: Call[ResponseT], step: str) -> Call[ResponseT]:
    fields = call.request.DESCRIPTOR.fields_by_name
    # One that is there names another step's effect: unlocking ends what locking began.
    if "key" in fields and not call.request.key:  # type: ignore[attr-defined]  # checked
        call.request.key = step_key(step)  # type: ignore[attr-defined]  # checked above
    return call
