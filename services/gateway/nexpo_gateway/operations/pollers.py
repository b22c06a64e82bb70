"""Tells a worker that is away from one that is slow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import TEMPORAL_RETRY_AFTER, fault_from, worker_unavailable

# A worker's long poll lasts a minute, so a live one was seen within it.
_FRESH = timedelta(seconds=65)
# A worker that lives takes up a call within milliseconds; one that did not for
# so long is as good as away, though its last poll may still look fresh.
_PATIENCE = 2.0


async def unanswered(client: Client, queue: str, waited: float) -> Fault:
    """Why no worker of the queue took up a call within `waited` seconds."""
    try:
        polled = await _polled(client, queue)
    except RPCError as error:
        return fault_from(error)
    if polled and waited < _PATIENCE:
        return Fault(
            Reason.REASON_DEADLINE_EXCEEDED,
            "The answer did not come in time; the call may still be applied.",
        )
    return Fault(
        Reason.REASON_WORKER_UNAVAILABLE,
        f"No worker answers on {queue}; the call may still be applied once one does.",
        retry_after=TEMPORAL_RETRY_AFTER,
        metadata={"queue": queue},
    )


async def check_polled(client: Client, queue: str) -> None:
    """For health. Raises: Fault: WORKER_UNAVAILABLE: nobody has polled the queue of late."""
    try:
        polled = await _polled(client, queue)
    except RPCError as error:
        raise fault_from(error) from None
    if not polled:
        raise worker_unavailable(queue)


async def _polled(client: Client, queue: str) -> bool:
    response = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=timedelta(seconds=0.5),
    )
    oldest = datetime.now(UTC) - _FRESH
    return any(
        poller.last_access_time.ToDatetime(tzinfo=UTC) > oldest for poller in response.pollers
    )
