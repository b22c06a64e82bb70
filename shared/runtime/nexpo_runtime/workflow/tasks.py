"""What must be carried out, however long it takes, and the human who helps.

Undos, and steps after the pivot, are tried without limit. What has not succeeded
for a while becomes a task for a human too, and goes on being tried: the human
mends the cause, has it tried again at once, or does it by hand and says so.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message

from nexpo.contract import Call, Retry
from nexpo.operations.v1.operations_pb2 import OperationTask

from ..errors import Fault
from . import flow
from .progress import Tracker

ResponseT = TypeVar("ResponseT", bound=Message)


class OperationTasks:
    """Carries out what must be done; the tasks that it leads to, and what humans decided."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._decisions: dict[str, str | None] = {}

    def is_open(self, task: str) -> bool:
        """Whether a human can decide on it now."""
        return task in self._decisions

    def decide(self, task: str, decision: str) -> None:
        """Records "retry" or "done"; what a human did stays done, whoever wants it tried again."""
        if self._decisions[task] != "done":
            self._decisions[task] = decision

    async def carried_out(
        self, step: str, name: str, call: Call[ResponseT], kind: OperationTask.Kind.ValueType
    ) -> ResponseT | None:
        """Makes a call until it succeeds.

        Args:
            step: The step that it belongs to, which the tracker knows.
            name: The call's name in the operation.
            call: What to do; it is retried without limit, whatever its contract says.
            kind: What it is to a human.

        Returns:
            The answer; None when a human did it by hand.
        """
        call = call.retried(Retry.RETRY_FOREVER)
        try:
            # The engine keeps the time: a timer of the workflow would cost events at every call.
            return await flow.engine().call(call.limited(flow.engine().task_after), name)
        except Fault as fault:
            task = self._open(step, kind)
            task.reason = fault.name
        retries = 1
        attempt = _begin(call, f"{name}, retry {retries}")
        while True:
            await self._done_or_decided(attempt, task.task)
            if attempt.done():
                break
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
            if self._take(task.task) == "done":
                break
            retries += 1
            # A cancelled call may be pending still, so its successor has a name of its own.
            attempt = _begin(call, f"{name}, retry {retries}")
        self._close(task)
        return None if attempt.cancelled() else attempt.result()

    async def looked_after(self, step: str, fault: Fault) -> None:
        """Waits until a human has seen an operation that failed after its pivot.

        Nothing of it can be tried again or undone: either decision ends it.
        """
        self._tracker.begin(step, "")
        self._tracker.fail(step, fault)
        task = self._open(step, OperationTask.FINISH)
        await flow.until(lambda: self._decisions.get(task.task) is not None)
        self._close(task)

    def _open(self, step: str, kind: OperationTask.Kind.ValueType) -> OperationTask:
        task = self._tracker.block(step, kind)
        self._decisions[task.task] = None
        return task

    def _close(self, task: OperationTask) -> None:
        del self._decisions[task.task]
        self._tracker.unblock(task)

    def _take(self, task: str) -> str | None:
        decision, self._decisions[task] = self._decisions[task], None
        return decision

    async def _done_or_decided(self, attempt: asyncio.Task[Any], task: str) -> None:
        await flow.until(lambda: attempt.done() or self._decisions.get(task) is not None)


def _begin(call: Call[ResponseT], name: str) -> asyncio.Task[ResponseT]:
    attempt = asyncio.create_task(_persistent(call, name))
    attempt.add_done_callback(lambda _: flow.changed())
    return attempt


async def _persistent(call: Call[ResponseT], name: str) -> ResponseT:
    while True:
        try:
            return await flow.engine().call(call, name)
        except Fault:
            # Retry.RETRY_FOREVER ends only by a fault of the engine itself: never give up.
            await flow.sleep(timedelta(minutes=1))
