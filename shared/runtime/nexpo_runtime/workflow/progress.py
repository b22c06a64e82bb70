"""How far an operation is: the steps, shown once per change.

Source: design of google.longrunning.Operation metadata; the message is
nexpo.operations.v1.Progress.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from nexpo.operations.v1.operations_pb2 import OperationTask, Progress, Step

from ..errors import Fault
from ..names import OperationName
from . import flow
from .steps import Steps


@dataclass(frozen=True, slots=True)
class _Blocked:
    """What a task of a kind does to its operation and its step."""

    state: Progress.State.ValueType
    step: Step.State.ValueType | None
    message: str


_BLOCKED = {
    OperationTask.UNDO: _Blocked(
        Progress.UNDO_BLOCKED,
        Step.UNDO_BLOCKED,
        "Undoing '{step}' needs a human; it goes on being retried.",
    ),
    OperationTask.STEP: _Blocked(
        Progress.BLOCKED,
        Step.BLOCKED,
        "'{step}' needs a human; it goes on being retried.",
    ),
    OperationTask.FINISH: _Blocked(
        Progress.BLOCKED, None, "It failed after its pivot; a human must finish it."
    ),
}
_ENDED = (Step.DONE, Step.FAILED, Step.SKIPPED, Step.UNDONE)


def task_id(step: str) -> str:
    """The step's name made safe for a URL: "create in postgres" -> "create-in-postgres"."""
    return re.sub(r"[^A-Za-z0-9]+", "-", step).strip("-").lower()


def _set_to_now(stamp: Timestamp) -> None:
    # FromDatetime takes four times as long, and every step has three of them.
    moment = flow.now()
    stamp.seconds = int(moment.timestamp())
    stamp.nanos = moment.microsecond * 1000


class Tracker:
    """Keeps an operation's Progress and reports it, at most once per tick of the loop."""

    def __init__(self, operation_type: str, request_id: str) -> None:
        started = flow.engine()
        self.progress = Progress(
            state=Progress.RUNNING,
            type=operation_type,
            durable=started.durable,
            request_id=request_id,
        )
        _set_to_now(self.progress.create_time)
        _set_to_now(self.progress.update_time)
        self.plan = Steps()
        self.operation = str(OperationName(started.workflow_id, operation_type, started.run_id))
        self._expected = 0
        self._steps: dict[str, Step] = {}
        self._unblocked: tuple[Progress.State.ValueType, str] = (Progress.RUNNING, "")
        self._scheduled = False
        self._state_changed = False  # The gateway sets RUNNING when it starts the workflow.

    def expect(self, steps: int) -> None:
        """Says how many steps the operation will have, for the percent."""
        self._expected = steps
        self._changed()

    def state(self, state: Progress.State.ValueType, message: str = "") -> None:
        """Moves the operation to a state, with words for a person."""
        self._state_changed |= self.progress.state != state
        self.progress.state = state
        self.progress.message = message
        _set_to_now(self.progress.update_time)
        self._changed()

    def pivot(self) -> None:
        """Says that the operation only goes forward from now on."""
        self.progress.past_pivot = True
        self._changed()

    def begin(self, name: str, target: str) -> None:
        """A step begins, or begins anew."""
        step = self._steps.get(name)
        if step is None:
            step = self.progress.steps.add(name=name, target=target)
            self._steps[name] = step
            _set_to_now(step.start_time)
        step.state = Step.RUNNING
        step.attempt = 1
        self._changed()

    def done(self, name: str, attempt: int) -> None:
        """A step has ended well, at the attempt of that number."""
        self._end(name, Step.DONE, attempt)

    def fail(self, name: str, fault: Fault) -> None:
        """A step has failed for good."""
        self._explain(name, fault)
        self._end(name, Step.FAILED, fault.attempt)

    def skip(self, name: str, fault: Fault | None = None, detail: str = "") -> None:
        """A step is left out, or the operation goes on without it."""
        if fault is not None:
            self._explain(name, fault)
        self._steps[name].detail = detail or self._steps[name].detail
        self._end(name, Step.SKIPPED)

    def undoing(self, name: str, target: str) -> None:
        """A step's undo begins, also of a step that never began."""
        if name not in self._steps:
            self.begin(name, target)
        self._steps[name].state = Step.UNDOING
        self._steps[name].ClearField("end_time")
        self._changed()

    def undone(self, name: str) -> None:
        """A step's undo is done."""
        self._end(name, Step.UNDONE)

    def block(self, step: str, kind: OperationTask.Kind.ValueType) -> OperationTask:
        """Something about a step needs a human: its task, in the progress from now on."""
        if not self.progress.tasks:
            self._unblocked = (self.progress.state, self.progress.message)
        task = self.progress.tasks.add(
            task=task_id(step), operation=self.operation, step=step, kind=kind
        )
        _set_to_now(task.create_time)
        blocked = _BLOCKED[kind]
        if blocked.step is not None:
            self._steps[step].state = blocked.step
        self.state(blocked.state, blocked.message.format(step=step))
        return task

    def unblock(self, task: OperationTask) -> None:
        """It is done, by itself or by hand; with the last one the operation goes on."""
        kept = [other for other in self.progress.tasks if other.task != task.task]
        del self.progress.tasks[:]
        self.progress.tasks.extend(kept)
        if not kept:
            self.state(*self._unblocked)

    def flush(self) -> None:
        """Reports now what is not reported yet."""
        self._scheduled = False
        done = sum(step.state in _ENDED for step in self.progress.steps)
        expected = max(self._expected, len(self.progress.steps), 1)
        ended = self.progress.state in (Progress.SUCCEEDED, Progress.FAILED, Progress.CANCELLED)
        self.progress.percent = 100 if ended else min(99, 100 * done // expected)
        state_changed, self._state_changed = self._state_changed, False
        flow.engine().report(self.progress, state_changed)

    def _explain(self, name: str, fault: Fault) -> None:
        self._steps[name].reason = fault.name
        self._steps[name].detail = fault.message

    def _end(self, name: str, state: Step.State.ValueType, attempt: int = 0) -> None:
        step = self._steps[name]
        step.state = state
        step.attempt = attempt or step.attempt
        _set_to_now(step.end_time)
        self._changed()

    def _changed(self) -> None:
        # One report per tick: five parallel steps that begin together are one change.
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        if self._scheduled:
            self.flush()
