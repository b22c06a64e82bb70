"""Attempts of in-process operations: own activities here, the others over gRPC."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError, Message

from nexpo import registry
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.edge.worker_clients import WorkerClients
from nexpo_runtime.errors import Fault
from nexpo_runtime.worker.activity import ActivityContext
from nexpo_runtime.worker.invocation import Implementation, Service, implementation, invoke
from nexpo_runtime.workflow.local_engine import Attempt


class LocalAttempts:
    """Makes attempts on the worker that polls the call's queue on Temporal.

    Args:
        queue: The gateway's own queue.
        services: Its own activities.
        workers: The way to the others.
    """

    def __init__(self, queue: str, services: Sequence[Service], workers: WorkerClients) -> None:
        self._queue = queue
        self._workers = workers
        self._own: dict[str, Implementation] = {
            method.name: implementation(service, method)
            for service in services
            for method in service.CONTRACT.methods
        }

    async def __call__(self, attempt: Attempt) -> Message:
        """The activity's response. Raises: Fault."""
        activity = attempt.call.activity
        queue = attempt.call.queue or activity.queue
        if queue == self._queue and activity.name in self._own:
            context = ActivityContext(attempt.tenant, attempt.workflow_id, attempt.number)
            call = self._own[activity.name]
            return await invoke(call, activity.name, attempt.call.request, context)
        answer = await self._workers.call(
            queue,
            registry.grpc_path(registry.method(activity.name)),
            attempt.call.request.SerializeToString(),
            tenant=attempt.tenant,
            timeout=activity.start_to_close.total_seconds(),
            operation=attempt.workflow_id,
            attempt=attempt.number,
        )
        try:
            response: Message = activity.response.FromString(answer)
        except DecodeError as error:
            raise Fault(Reason.REASON_INTERNAL) from error
        return response
