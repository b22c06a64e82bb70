"""How operations ended: their last state, and what a call that came too late is told."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from typing import TypeVar

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName

from .backend import OperationsBackend

AnswerT = TypeVar("AnswerT")

_SECONDS = 3.0


async def telling_the_end(
    backend: OperationsBackend, name: OperationName, call: Awaitable[AnswerT]
) -> AnswerT:
    """Awaits a call of a running operation; OPERATION_DONE says how the operation ended.

    Who reaches an operation without a credential cannot read its result, but
    must know whether what was asked for has happened already.

    Raises:
        Fault: As the call did; OPERATION_DONE with metadata `state`, such as
            SUCCEEDED, and `reason` when it failed.
    """
    try:
        return await call
    except Fault as fault:
        if fault.reason == Reason.REASON_OPERATION_DONE:
            # Without it the call is refused all the same.
            with contextlib.suppress(Fault):
                fault.metadata = {**fault.metadata, **await _ending(backend, name)}
        raise


def ended_progress(progress: Progress, fault: Fault | None, completed: bool = False) -> Progress:
    """The progress of an operation that has ended so, also when it could not say so itself.

    Args:
        progress: As it was shown last.
        fault: How it failed, or that its outcome cannot be read.
        completed: Whether it is known to have ended with a result.
    """
    state = _state(progress, fault, completed)
    if progress.state == state:
        return progress
    corrected = Progress()
    corrected.CopyFrom(progress)
    corrected.state = state
    # Nobody can decide on them any more.
    corrected.ClearField("tasks")
    if fault is None or state == Progress.SUCCEEDED:
        corrected.percent = 100
    else:
        corrected.message = fault.message
    return corrected


def _state(progress: Progress, fault: Fault | None, completed: bool) -> Progress.State.ValueType:
    unread = fault is not None and fault.reason == Reason.REASON_RECORD_UNREADABLE
    if fault is None or (unread and completed):
        return Progress.SUCCEEDED
    if unread and progress.state in (Progress.FAILED, Progress.CANCELLED):
        return progress.state
    cancelled = fault.reason == Reason.REASON_OPERATION_CANCELLED
    return Progress.CANCELLED if cancelled else Progress.FAILED


async def _ending(backend: OperationsBackend, name: OperationName) -> dict[str, str]:
    snapshot = await backend.describe(name, _SECONDS)
    if not snapshot.done:
        return {}
    ending = {"state": Progress.State.Name(snapshot.progress.state)}
    if snapshot.fault is not None:
        ending["reason"] = snapshot.fault.name
    return ending
