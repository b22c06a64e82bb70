"""An operation as Temporal describes it: its memo, and what its activities do now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.common.v1 import Memo, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo_runtime.codec import DecryptionError
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName
from nexpo_runtime.temporal_engine import PROGRESS_MEMO

from .endings import ended

_RUNNING = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
)
OVER = (Progress.SUCCEEDED, Progress.FAILED, Progress.CANCELLED)
"""States of operations that have ended."""

_RETRIED = re.compile(r", retry \d+$")
"""What the saga adds to the name of an undo that a human had tried again."""

_UNDER_WAY = (Step.RUNNING, Step.UNDOING, Step.UNDO_BLOCKED)


@dataclass(frozen=True, slots=True)
class Described:
    """What a description says.

    Attributes:
        name: The operation's name: workflow id and first run.
        run_id: The current run.
        running: Whether it has not ended.
        progress: Its progress, with the attempts of running steps.
        events: How many events its current run's history has.
        terminated: Whether someone ended the run, or reset it.
    """

    name: OperationName
    run_id: str
    running: bool
    progress: Progress
    events: int
    terminated: bool = False

    def ended(self, fault: Fault | None) -> Progress:
        """The progress of an operation that has ended, also of one ended from outside."""
        return ended(self.progress, fault)


async def describe(client: Client, name: OperationName, limit: timedelta) -> Described:
    """Describes the chain that the name stands for; any when it has no run id.

    Raises:
        Fault: OPERATION_NOT_FOUND: the workflow id now stands for another chain.
        RPCError: As Temporal says.
    """
    raw = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=name.workflow_id),
        ),
        retry=True,
        timeout=limit,
    )
    info = raw.workflow_execution_info
    if name.run_id and name.run_id not in (info.first_run_id, info.execution.run_id):
        raise Fault(Reason.REASON_OPERATION_NOT_FOUND, "There is no such operation.")
    described = await from_info(client, info)
    await _merge(client, described.progress, raw.pending_activities)
    return described


async def from_info(client: Client, info: WorkflowExecutionInfo) -> Described:
    """What an entry of a list, or the main part of a description, says."""
    run_id = info.execution.run_id
    return Described(
        name=OperationName(info.execution.workflow_id, info.first_run_id or run_id),
        run_id=run_id,
        running=info.status in _RUNNING,
        progress=await progress_of(client, info.memo) or _outline(info),
        events=info.history_length,
        terminated=info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
    )


def _outline(info: WorkflowExecutionInfo) -> Progress:
    """What is known without a memo."""
    return Progress(type=info.type.name, create_time=info.start_time, durable=True)


async def progress_of(client: Client, memo: Memo) -> Progress | None:
    """The progress in a memo; None when it has none, or none that can be decrypted."""
    payload = memo.fields.get(PROGRESS_MEMO)
    if payload is None:
        return None
    try:
        [progress] = await client.data_converter.decode([payload])
    except DecryptionError:
        # A key that was dropped too early must not hide what else there is.
        return None
    return progress if isinstance(progress, Progress) else None


async def _merge(
    client: Client, progress: Progress, activities: Sequence[PendingActivityInfo]
) -> None:
    """Completes the steps under way, and open tasks, with what their activities say."""
    pending = {activity.activity_id: activity for activity in activities}
    undos = {_RETRIED.sub("", name): activity for name, activity in sorted(pending.items())}
    for step in progress.steps:
        activity = pending.get(step.name) or undos.get(f"undo {step.name}")
        if activity is None or step.state not in _UNDER_WAY:
            continue
        step.attempt = max(step.attempt, activity.attempt)
        step.reason = _reason(activity) or step.reason
        step.percent = await _percent(client, activity) or step.percent
    for task in progress.tasks:
        if undo := undos.get(f"undo {task.step}"):
            task.reason = _reason(undo)


def _reason(activity: PendingActivityInfo) -> str:
    """Why its latest attempt failed: a failure's type is a reason, and never encrypted."""
    return activity.last_failure.application_failure_info.type


async def _percent(client: Client, activity: PendingActivityInfo) -> int:
    """How far the activity's latest heartbeat says it is: a Step among its details."""
    if not activity.HasField("heartbeat_details"):
        return 0
    details: list[object] = await client.data_converter.decode(activity.heartbeat_details.payloads)
    return next((detail.percent for detail in details if isinstance(detail, Step)), 0)
