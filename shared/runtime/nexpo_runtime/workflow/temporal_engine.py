"""The engine that runs operations on Temporal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from google.protobuf.message import Message
from temporalio import exceptions, workflow
from temporalio.common import RetryPolicy, SearchAttributeKey

from nexpo.contract import Call, Retry
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.registry import PROTOCOL

from ..failures import fault_from
from ..names import tenant_of
from ..retry import POLICIES
from . import flow
from .task_size import TaskSize

ResponseT = TypeVar("ResponseT", bound=Message)

PROGRESS_MEMO = PROTOCOL.progress_memo
STATE_ATTRIBUTE = SearchAttributeKey.for_keyword(PROTOCOL.state_attribute)
TENANT_ATTRIBUTE = SearchAttributeKey.for_keyword(PROTOCOL.tenant_attribute)


class TemporalEngine:
    """Stateless: everything is asked of the workflow that runs.

    Args:
        time_scale: Factor on every time-out and pause of the contract, for
            tests and development only.
        queue_prefix: Stands before every task queue of the contract.
        task_after: How long an undo, or a step after the pivot, is retried before it is a
            human's task, too.
    """

    durable = True

    def __init__(
        self,
        time_scale: float = 1.0,
        queue_prefix: str = "",
        task_after: timedelta = flow.TASK_AFTER,
    ) -> None:
        self._scale = time_scale
        self._queue_prefix = queue_prefix
        # Of calls, whose times are scaled, this one is not meant.
        self.task_after = task_after / time_scale

    @property
    def workflow_id(self) -> str:
        return workflow.info().workflow_id

    @property
    def run_id(self) -> str:
        return workflow.info().first_execution_run_id

    @property
    def tenant(self) -> str:
        return tenant_of(workflow.info().workflow_id)

    def now(self) -> datetime:
        return workflow.now()

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())

    async def until(self, condition: Callable[[], bool], within: timedelta | None) -> bool:
        try:
            await workflow.wait_condition(condition, timeout=within)
        except TimeoutError:
            return False
        return True

    async def call(self, call: Call[ResponseT], name: str) -> ResponseT:
        activity = call.activity
        await _task_size().admit(call.request.ByteSize())
        try:
            answer: ResponseT = await workflow.execute_activity(
                activity.name,
                call.request,
                activity_id=name,
                task_queue=self._queue_prefix + (call.queue or activity.queue),
                result_type=activity.response,
                start_to_close_timeout=activity.start_to_close * self._scale,
                schedule_to_close_timeout=call.within and call.within * self._scale,
                heartbeat_timeout=activity.heartbeat and activity.heartbeat * self._scale,
                retry_policy=self._policy(call.retry or activity.retry),
                cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
            )
        except exceptions.ActivityError as error:
            if isinstance(error.cause, exceptions.CancelledError):
                raise asyncio.CancelledError from error
            raise fault_from(error) from error
        return answer

    def changed(self) -> None:
        """Temporal checks conditions by itself."""

    def cancel_requested(self) -> bool:
        return workflow.cancellation_reason() is not None

    def report(self, progress: Progress, state_changed: bool) -> None:
        workflow.upsert_memo({PROGRESS_MEMO: progress})
        if state_changed:
            state = Progress.State.Name(progress.state)
            workflow.upsert_search_attributes([STATE_ATTRIBUTE.value_set(state)])

    def patched(self, change: str) -> bool:
        return workflow.patched(change)

    def _policy(self, retry: Retry.ValueType) -> RetryPolicy:
        policy = POLICIES[retry]
        return RetryPolicy(
            initial_interval=policy.initial_interval * self._scale,
            backoff_coefficient=policy.backoff_coefficient,
            maximum_interval=policy.maximum_interval * self._scale,
            maximum_attempts=policy.maximum_attempts,
        )


def _task_size() -> TaskSize:
    size: TaskSize = workflow.instance().task_size
    return size


def use_temporal(
    time_scale: float = 1.0,
    queue_prefix: str = "",
    task_after: timedelta = flow.TASK_AFTER,
) -> None:
    """Lets the workflows of this process run on Temporal; called once by the worker."""
    flow.use_temporal(TemporalEngine(time_scale, queue_prefix, task_after))
