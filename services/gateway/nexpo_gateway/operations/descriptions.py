"""An operation as Temporal describes it: its memo, and what its activities do now."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.api.common.v1 import Memo, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName
from nexpo_runtime.workflow.temporal_engine import PROGRESS_MEMO, STATE_ATTRIBUTE

from .endings import ended_progress
from .unreadable import REASON, report

_RUNNING = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
)
OVER = (Progress.SUCCEEDED, Progress.FAILED, Progress.CANCELLED)
"""States of operations that have ended."""

_UNKNOWN = Progress.STATE_UNSPECIFIED

_RETRIED = re.compile(r", retry \d+$")
"""What is added to the name of a call that goes on as a human's task."""

_UNDER_WAY = (Step.RUNNING, Step.BLOCKED, Step.UNDOING, Step.UNDO_BLOCKED)


@dataclass(frozen=True, slots=True)
class Description:
    """What a description says.

    Attributes:
        name: The operation's name: workflow id and first run.
        run_id: The current run.
        running: Whether it has not ended.
        progress: Its progress, with the attempts of running steps.
        events: How many events its current run's history has.
        completed: Whether it has ended with a result.
        terminated: Whether someone ended the run, or reset it.
        cancelling: Whether a cancel was promised, seen by the workflow or not yet.
    """

    name: OperationName
    run_id: str
    running: bool
    progress: Progress
    events: int
    completed: bool = False
    terminated: bool = False
    cancelling: bool = False

    def ended(self, fault: Fault | None) -> Progress:
        """The progress of an operation that has ended, also of one ended from outside."""
        return ended_progress(self.progress, fault, self.completed)


async def describe(client: Client, name: OperationName, limit: timedelta) -> Description:
    """Describes the chain that the name stands for.

    Raises:
        Fault: OPERATION_NOT_FOUND: the workflow id stands for another chain now, or
            for an operation of another type.
        RPCError: As Temporal says.
    """
    described = await describe_any(client, name.workflow_id, limit)
    runs = (described.name.run_id, described.run_id)
    if name.run_id not in runs or name.type != described.name.type:
        raise Fault(Reason.REASON_OPERATION_NOT_FOUND, "There is no such operation.")
    return described


async def describe_any(client: Client, workflow_id: str, limit: timedelta) -> Description:
    """Describes whatever operation the workflow id stands for.

    Raises:
        RPCError: As Temporal says.
    """
    raw = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        ),
        retry=True,
        timeout=limit,
    )
    described = await from_info(client, raw.workflow_execution_info)
    await _merge(client, described.progress, raw.pending_activities)
    return replace(described, cancelling=raw.workflow_extended_info.cancel_requested)


async def from_info(client: Client, info: WorkflowExecutionInfo) -> Description:
    """What an entry of a list, or the main part of a description, says."""
    run_id = info.execution.run_id
    progress = await progress_of(client, info.memo, info.execution.workflow_id)
    if progress is None or progress.unreadable:
        progress = _outline(info, progress)
    return Description(
        name=OperationName(info.execution.workflow_id, info.type.name, info.first_run_id or run_id),
        run_id=run_id,
        running=info.status in _RUNNING,
        progress=progress,
        events=info.history_length,
        completed=info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
        terminated=info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
    )


def _outline(info: WorkflowExecutionInfo, unreadable: Progress | None) -> Progress:
    """What is known without a memo, or without one that can be read."""
    return Progress(
        type=info.type.name,
        create_time=info.start_time,
        durable=True,
        state=_state(info),
        unreadable=unreadable.unreadable if unreadable is not None else "",
        message="Its progress cannot be read." if unreadable is not None else "",
    )


def _state(info: WorkflowExecutionInfo) -> Progress.State.ValueType:
    """Where it stands by its search attribute, which is clear text."""
    payload = info.search_attributes.indexed_fields.get(STATE_ATTRIBUTE.name)
    try:
        return Progress.State.Value(json.loads(payload.data)) if payload else _UNKNOWN
    except (ValueError, TypeError):
        return _UNKNOWN


async def progress_of(client: Client, memo: Memo, workflow_id: str) -> Progress | None:
    """The progress in a memo; None when it has none.

    Of one that cannot be read only `unreadable` is set: what a dropped key or a stranger
    wrote must not hide what else there is.
    """
    payload = memo.fields.get(PROGRESS_MEMO)
    if payload is None:
        return None
    try:
        [progress] = await client.data_converter.decode([payload])
        if not isinstance(progress, Progress):
            raise TypeError("no progress")
    except Exception as error:  # pure decoding: whatever is raised comes of the payload
        report(workflow_id, "progress", error)
        return Progress(unreadable=REASON)
    return progress


async def _merge(
    client: Client, progress: Progress, activities: Sequence[PendingActivityInfo]
) -> None:
    """Completes the steps under way, and open tasks, with what their activities say."""
    pending = {
        _RETRIED.sub("", activity.activity_id): activity
        for activity in sorted(activities, key=lambda one: (len(one.activity_id), one.activity_id))
    }
    for step in progress.steps:
        activity = pending.get(step.name) or pending.get(f"undo {step.name}")
        if activity is None or step.state not in _UNDER_WAY:
            continue
        step.attempt = max(step.attempt, activity.attempt)
        step.reason = _reason(activity) or step.reason
        step.percent = await _percent(client, activity) or step.percent
    for task in progress.tasks:
        activity = pending.get(task.step) or pending.get(f"undo {task.step}")
        if activity is not None:
            task.reason = _reason(activity) or task.reason


def _reason(activity: PendingActivityInfo) -> str:
    """Why its latest attempt failed: a failure's type is a reason, and never encrypted."""
    return activity.last_failure.application_failure_info.type


async def _percent(client: Client, activity: PendingActivityInfo) -> int:
    """How far the activity's latest heartbeat says it is: a Step among its details."""
    if not activity.HasField("heartbeat_details"):
        return 0
    try:
        details = await client.data_converter.decode(activity.heartbeat_details.payloads)
    except Exception as error:  # pure decoding, as above
        report(activity.activity_id, "heartbeat", error)
        return 0
    return next((detail.percent for detail in details if isinstance(detail, Step)), 0)
