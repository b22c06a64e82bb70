"""Reaches the workflow behind an operation: updates and queries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from google.protobuf.message import Message
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import fault_from
from nexpo_runtime.names import OperationName
from nexpo_runtime.tenant import acting_for

from ..contract import Rpc
from .descriptions import describe
from .pollers import unanswered
from .temporal_calls import PROMPT, TemporalCalls

_ANY_QUERY = "__temporal_workflow_metadata"
"""One that the SDK answers for every workflow."""


class WorkflowCalls:
    """Sends updates and queries to workflows.

    Args:
        calling: Makes the calls.
        queues: Task queue by operation type, as it is named on this installation.
    """

    def __init__(self, calling: TemporalCalls, queues: Mapping[str, str]) -> None:
        self._calling = calling
        self._queues = queues

    async def update(
        self, rpc: Rpc, name: OperationName, request: Message, call_id: str, timeout: float
    ) -> Message:
        """Sends an update and waits for its answer.

        Temporal answers a call id that it knows with what it led to. Whether it is a
        call of its request_id is the operation's to judge: it may know another one.

        Raises:
            Fault: See OperationsBackend.
        """
        client = self._calling.client()
        handle: WorkflowHandle[object, object] = client.get_workflow_handle(
            name.workflow_id, first_execution_run_id=name.run_id
        )
        limit = timedelta(seconds=timeout)
        accepted = False

        async def make() -> Message:
            nonlocal accepted
            await self._settled(client, name, timeout)
            update = await handle.start_update(
                rpc.name,
                request,
                id=call_id,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                result_type=rpc.response,
                rpc_timeout=limit,
            )
            accepted = True
            answer: Message = await update.result(rpc_timeout=limit)
            return answer

        try:
            with acting_for(name.tenant):
                return await self._calling.patient(timeout, make())
        except Exception as error:
            raise await self._meaning(client, name, error, accepted, timeout) from error

    async def query(
        self, rpc: Rpc, name: OperationName, request: Message, timeout: float
    ) -> Message:
        """Asks the workflow.

        A query cannot refuse: Temporal's answer to a failed one holds no
        failure, only its text, which is encrypted.

        Raises:
            Fault: INTERNAL: the query failed.
        """
        client = self._calling.client()
        handle = await self._current(client, name, timeout)
        ask: Callable[[], Awaitable[Message]] = lambda: handle.query(  # noqa: E731  # types it
            rpc.name, request, result_type=rpc.response, rpc_timeout=timedelta(seconds=timeout)
        )
        try:
            with acting_for(name.tenant):
                return await self._calling.patient(timeout, ask())
        except Exception as error:
            raise await self._meaning(client, name, error, False, timeout) from error

    async def _settled(self, client: Client, name: OperationName, timeout: float) -> None:
        """Waits until the workflow has seen a cancel that was promised.

        In one task with it the SDK would give the workflow the call first. A query is
        answered once all that came before it was seen.
        """
        described = await self._calling.prompt(timeout, lambda limit: describe(client, name, limit))
        if described.running and described.cancelling:
            handle: WorkflowHandle[object, object] = client.get_workflow_handle(
                name.workflow_id, run_id=described.run_id
            )
            await handle.query(_ANY_QUERY, rpc_timeout=timedelta(seconds=timeout))

    async def _current(
        self, client: Client, name: OperationName, timeout: float
    ) -> WorkflowHandle[object, object]:
        """A handle of the chain's current run, and of no other chain's."""
        described = await self._calling.prompt(timeout, lambda limit: describe(client, name, limit))
        return client.get_workflow_handle(name.workflow_id, run_id=described.run_id)

    async def _meaning(
        self, client: Client, name: OperationName, error: Exception, accepted: bool, timeout: float
    ) -> Fault:
        """What a failed call means: the workflow's own fault, or why it gave none."""
        if _cut_off(error):
            return _done(name)
        fault = fault_from(error)
        if fault.reason in (Reason.REASON_OPERATION_NOT_FOUND, Reason.REASON_INTERNAL):
            return await self._looked_up(client, name, fault)
        if isinstance(error, RPCError):
            return fault
        if fault.reason == Reason.REASON_DEADLINE_EXCEEDED and not accepted:
            return await unanswered(client, self._queues[name.type], timeout)
        return fault

    async def _looked_up(self, client: Client, name: OperationName, fault: Fault) -> Fault:
        """What a fault means that says nothing of the operation itself.

        A workflow that has ended is not found; one of another type than the name
        claims does not know the call, which the SDK has no word for.
        """
        try:
            described = await self._calling.prompt(
                PROMPT, lambda limit: describe(client, name, limit)
            )
        except Fault as other:
            return other
        unknown = fault.reason == Reason.REASON_OPERATION_NOT_FOUND
        return _done(name) if unknown and not described.running else fault


def _cut_off(error: BaseException) -> bool:
    """Whether the workflow ended before its handler had answered."""
    cause = error.__cause__
    return isinstance(cause, ApplicationError) and cause.type == "AcceptedUpdateCompletedWorkflow"


def _done(name: OperationName) -> Fault:
    return Fault(
        Reason.REASON_OPERATION_DONE, "The operation has ended.", metadata={"operation": str(name)}
    )
