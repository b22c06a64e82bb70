"""Operations on Temporal."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import fault_from
from nexpo_runtime.names import OperationName, tenant_of
from nexpo_runtime.temporal.connection import TemporalLink
from nexpo_runtime.tenant import acting_for
from nexpo_runtime.workflow.temporal_engine import PROGRESS_MEMO, STATE_ATTRIBUTE, TENANT_ATTRIBUTE

from ..contract import Rpc
from .backend import Criteria, OperationsBackend, Order, Page, Snapshot, Started, ended
from .descriptions import Description, describe, describe_any
from .history import changes, first_input
from .listing import list_page
from .temporal_calls import PROMPT, TemporalCalls
from .unreadable import is_unreadable, outcome_unreadable, report
from .workflow_calls import WorkflowCalls

_OUTCOMES_AT_ONCE = 8


class TemporalBackend(OperationsBackend):
    """Starts, reaches, reads and follows the workflows behind operations.

    Args:
        link: To Temporal.
        queues: Task queue by operation type, as it is named on this installation.
        results: Type of the result by operation type.
    """

    def __init__(
        self,
        link: TemporalLink,
        queues: Mapping[str, str],
        results: Mapping[str, type[Message]],
    ) -> None:
        self._calling = TemporalCalls(link)
        self._reaching = WorkflowCalls(self._calling, queues)
        self._queues = queues
        self._results = results

    async def start(self, order: Order, timeout: float) -> Started:
        client = self._calling.client()
        tenant = tenant_of(order.workflow_id)
        try:
            with acting_for(tenant):
                handle: WorkflowHandle[object, object] = await self._calling.prompt(
                    timeout,
                    lambda limit: client.start_workflow(
                        order.rpc.name,
                        order.request,
                        id=order.workflow_id,
                        task_queue=self._queues[order.rpc.name],
                        # No execution or run time-out: it would end a saga without its undo.
                        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                        # Its first task comes with the answer, when this process polls the queue.
                        request_eager_start=True,
                        memo={PROGRESS_MEMO: order.progress},
                        search_attributes=_search_attributes(order, tenant),
                        rpc_timeout=limit,
                    ),
                )
        except WorkflowAlreadyStartedError:
            return await self._existing(client, order.workflow_id, timeout)
        name = OperationName(order.workflow_id, order.rpc.name, handle.result_run_id or "")
        return Started(name)

    async def _existing(self, client: Client, workflow_id: str, timeout: float) -> Started:
        described = await self._calling.prompt(
            timeout, lambda limit: describe_any(client, workflow_id, limit)
        )
        earlier = await self._calling.prompt(
            timeout, lambda limit: first_input(client, described.name, limit)
        )
        return Started(described.name, existed=True, earlier=earlier)

    async def update(
        self, rpc: Rpc, name: OperationName, request: Message, call_id: str, timeout: float
    ) -> Message:
        return await self._reaching.update(rpc, name, request, call_id, timeout)

    async def query(
        self, rpc: Rpc, name: OperationName, request: Message, timeout: float
    ) -> Message:
        return await self._reaching.query(rpc, name, request, timeout)

    async def describe(self, name: OperationName, timeout: float) -> Snapshot:
        client = self._calling.client()
        described = await self._described(client, name, timeout)
        return await self._snapshot(client, described, timeout)

    async def outcome(self, name: OperationName, timeout: float) -> Snapshot | None:
        client = self._calling.client()
        ends, run_id = time.monotonic() + timeout, name.run_id
        # The result first: whoever waits for a short operation pays for no other look at it.
        while True:
            try:
                ending = await self._ending(client, name, run_id, ends)
            except TimeoutError:
                return None
            except Exception as error:
                await self._described(client, name, PROMPT)  # says so when there is no such run
                raise fault_from(error) from error
            described = await self._described(client, name, PROMPT)
            if not described.running:
                break
            run_id = described.run_id  # the run was reset: its operation goes on in this one
        if described.run_id == run_id:
            return _ended(described, ending)
        return await self._snapshot(client, described, PROMPT)

    async def _ending(
        self, client: Client, name: OperationName, run_id: str, ends: float
    ) -> _Ending:
        """Waits until the run has closed. Raises: TimeoutError; Fault; TemporalError."""
        handle = self._handle(client, name, run_id)
        try:
            result = await self._calling.patient(ends - time.monotonic(), handle.result())
        except WorkflowFailureError as error:
            return _Ending(fault=fault_from(error))
        except Exception as error:
            return _unreadable(name, error)
        return _Ending(result)

    def _handle(
        self, client: Client, name: OperationName, run_id: str
    ) -> WorkflowHandle[object, object]:
        return client.get_workflow_handle(
            name.workflow_id, run_id=run_id, result_type=self._results.get(name.type)
        )

    async def cancel(self, name: OperationName, timeout: float) -> None:
        handle: WorkflowHandle[object, object] = self._calling.client().get_workflow_handle(
            name.workflow_id, first_execution_run_id=name.run_id
        )
        await self._calling.prompt(
            timeout, lambda limit: handle.cancel(reason="CancelOperation", rpc_timeout=limit)
        )

    async def delete(self, name: OperationName, timeout: float) -> None:
        client = self._calling.client()
        described = await self._described(client, name, timeout)
        request = DeleteWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(
                workflow_id=name.workflow_id, run_id=described.run_id
            ),
        )
        await self._calling.prompt(
            timeout,
            lambda limit: client.workflow_service.delete_workflow_execution(request, timeout=limit),
        )

    async def list(self, criteria: Criteria, size: int, token: bytes, timeout: float) -> Page:
        client = self._calling.client()
        found, following = await self._calling.prompt(
            timeout, lambda limit: list_page(client, criteria, size, token, limit)
        )
        slots = asyncio.Semaphore(_OUTCOMES_AT_ONCE)

        async def complete(described: Description) -> Snapshot | None:
            async with slots:
                try:
                    if await self._reset(client, described, timeout):
                        return None
                    return await self._snapshot(client, described, timeout)
                except Fault as fault:
                    # Visibility lags: what it still lists may be deleted by now.
                    if fault.reason == Reason.REASON_OPERATION_NOT_FOUND:
                        return None
                    raise

        snapshots = await asyncio.gather(*map(complete, found))
        return Page([snapshot for snapshot in snapshots if snapshot is not None], following)

    def watch(self, name: OperationName) -> AsyncIterator[Snapshot]:
        return changes(self._calling.client, name, self._described, self._snapshot)

    async def _reset(self, client: Client, listed: Description, timeout: float) -> bool:
        """Whether a listed run was terminated because its operation goes on in another."""
        if not listed.terminated:
            return False
        return (await self._described(client, listed.name, timeout)).run_id != listed.run_id

    async def _described(self, client: Client, name: OperationName, timeout: float) -> Description:
        return await self._calling.prompt(timeout, lambda limit: describe(client, name, limit))

    async def _snapshot(self, client: Client, described: Description, timeout: float) -> Snapshot:
        """The description, with the outcome of an operation that has ended."""
        if described.running:
            return Snapshot(described.name, described.progress)
        handle = self._handle(client, described.name, described.run_id)
        try:
            result = await self._calling.prompt(
                timeout, lambda limit: handle.result(rpc_timeout=limit)
            )
        except WorkflowFailureError as error:
            return _ended(described, _Ending(fault=fault_from(error)))
        except Exception as error:
            return _ended(described, _unreadable(described.name, error))
        return _ended(described, _Ending(result))


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a run ended."""

    result: object = None
    fault: Fault | None = None


def _unreadable(name: OperationName, error: Exception) -> _Ending:
    """The ending of a run whose outcome cannot be decoded. Raises: Exception: any other error."""
    if not is_unreadable(error):
        raise error
    report(name.workflow_id, "outcome", error)
    return _Ending(fault=outcome_unreadable())


def _ended(described: Description, ending: _Ending) -> Snapshot:
    result = ending.result if isinstance(ending.result, Message) else None
    return ended(described.name, described.ended(ending.fault), result, ending.fault)


def _search_attributes(order: Order, tenant: str) -> TypedSearchAttributes:
    values = {
        **order.search_attributes,
        TENANT_ATTRIBUTE.name: tenant,
        STATE_ATTRIBUTE.name: Progress.State.Name(order.progress.state),
    }
    return _typed(tuple(sorted(values.items())))


@functools.lru_cache(maxsize=256)  # most operations of a tenant have the same ones
def _typed(values: tuple[tuple[str, str], ...]) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values]
    )
