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


def ended(progress: Progress, fault: Fault | None) -> Progress:
    """The progress of an operation that has ended so, also when it could not say so itself."""
    state = _state(fault)
    if progress.state == state:
        return progress
    corrected = Progress()
    corrected.CopyFrom(progress)
    corrected.state = state
    # Nobody can decide on them any more.
    corrected.ClearField("tasks")
    if fault is None:
        corrected.percent = 100
    else:
        corrected.message = fault.message
    return corrected


def _state(fault: Fault | None) -> Progress.State.ValueType:
    if fault is None:
        return Progress.SUCCEEDED
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
