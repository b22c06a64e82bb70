"""For tests: runs operations on a Temporal server, and keeps their histories for replay."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from nexpo.contract import WorkflowContract
from nexpo.operations.v1.operations_pb2 import Progress

from .failures import fault_from
from .names import workflow_id
from .settings import Settings
from .temporal.converter import data_converter
from .temporal.tenant_interceptors import TenantInterceptor
from .tenant import Signer, acting_for
from .worker.activity_interceptor import ActivityInterceptor, activities_of
from .worker.completeness import queue_of
from .worker.discovery import contract_of
from .worker.invocation import Service
from .worker.probe import Probe
from .workflow.temporal_engine import STATE_ATTRIBUTE, TENANT_ATTRIBUTE, use_temporal

PACE = 0.1
"""Seconds that a second of a workflow lasts; so much less has an activity, too."""
_TASK_AFTER = timedelta(seconds=2)
_IDENTITY = "recorder"


class Recorder:
    """Runs operations on a Temporal server as services do, at a faster pace.

    Args:
        settings: The server; keys that sign, and encrypt if there are any; the prefix of
            the task queues must be this recorder's own.
        histories: Where histories are kept, in a folder per workflow.
        write: Whether a history that is not there is written.
    """

    def __init__(self, settings: Settings, histories: Path, write: bool) -> None:
        self._settings = settings
        self._histories = histories
        self._write = write
        self._client: Client | None = None
        self._contracts: dict[str, WorkflowContract[Any]] = {}
        self._workflows: Sequence[type] = ()

    @contextlib.asynccontextmanager
    async def serving(
        self, workflows: Iterable[type], services: Iterable[Service] = (), pace: float = PACE
    ) -> AsyncIterator[None]:
        """Polls the queues of these inside the block, and of no others.

        Args:
            workflows: Classes under `@operation`.
            services: Their activities.
            pace: Seconds that a second of a workflow lasts.
        """
        self._workflows, services = tuple(workflows), tuple(services)
        self._client = await self._connect()
        use_temporal(pace, self._settings.temporal_task_queue, _TASK_AFTER)
        queues = {contract.queue for contract in map(contract_of, self._workflows) if contract}
        queues |= {service.CONTRACT.queue for service in services}
        async with AsyncExitStack() as stack:
            for queue in sorted(queues):
                worker = self._worker(self._client, queue, services)
                await stack.enter_async_context(worker)
            yield

    async def start(
        self, contract: WorkflowContract[Any], request: Any, tenant: str = ""
    ) -> WorkflowHandle[Any, Any]:
        """Starts an operation as the gateway does, of a tenant of its own when none is named."""
        assert self._client is not None, "start within 'async with recorder.serving(...)'"
        tenant = tenant or f"t{uuid.uuid4().hex[:8]}"
        queue = self._settings.queue(contract.queue)
        handle = await start_operation(self._client, tenant, contract, request, queue)
        self._contracts[handle.id] = contract
        return handle

    async def keep(self, handle: WorkflowHandle[Any, Any], story: str) -> str:
        """Waits for an operation's end and replays it; writes its history when that is asked.

        Args:
            handle: From `start`.
            story: What happened, in a few words: "undone because a store refused".

        Returns:
            How it ended: "COMPLETED", "CANCELED", or why it failed: "EMAIL_TAKEN".

        Raises:
            NondeterminismError: It does not replay: its workflow is not deterministic.
        """
        failure: WorkflowFailureError | None = None
        try:
            await handle.result()
        except WorkflowFailureError as error:
            failure = error
        history = await handle.fetch_history()
        await replayer(self._settings, self._workflows).replay_workflow(history)
        short = self._contracts[handle.id].name.rpartition(".")[2]
        target = self._histories / short / f"{story.replace(' ', '_')}.json"
        if self._write and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(history.to_json_dict(), indent=1) + "\n"
            # Whoever replays it knows the queues by their own names.
            target.write_text(text.replace(self._settings.temporal_task_queue, ""), "utf-8")
        ended = EventType.Name(history.events[-1].event_type)
        ended = ended.removeprefix("EVENT_TYPE_WORKFLOW_EXECUTION_")
        return fault_from(failure).name if failure and ended == "FAILED" else ended

    async def _connect(self) -> Client:
        return await Client.connect(
            self._settings.temporal_address,
            namespace=self._settings.temporal_namespace,
            data_converter=data_converter(self._settings),
            interceptors=[TenantInterceptor(Signer(self._settings.service_keys))],
            identity=_IDENTITY,
        )

    def _worker(self, client: Client, queue: str, services: Iterable[Service]) -> Worker:
        own: list[Service] = [s for s in services if s.CONTRACT.queue == queue]
        # As from the runtime; it names reads, which no workflow calls, all the same.
        own.append(Probe(queue, {"recorded": "on"}, queue_of(queue).rpcs))
        contracts = [(cls, contract_of(cls)) for cls in self._workflows]
        return Worker(
            client,
            task_queue=self._settings.queue(queue),
            workflows=[cls for cls, contract in contracts if contract and contract.queue == queue],
            activities=activities_of(own),
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[ActivityInterceptor(Signer(self._settings.service_keys))],
        )


async def start_operation(
    client: Client,
    tenant: str,
    contract: WorkflowContract[Any],
    request: Any,
    queue: str = "",
) -> WorkflowHandle[Any, Any]:
    """Starts an operation of a tenant by its contract, on the contract's queue or another."""
    initial = Progress(state=Progress.RUNNING, type=contract.name)
    attributes = [
        SearchAttributePair(STATE_ATTRIBUTE, "RUNNING"),
        SearchAttributePair(TENANT_ATTRIBUTE, tenant),
    ]
    result: type[Message] = contract.response
    with acting_for(tenant):
        return await client.start_workflow(
            contract.name,
            request,
            id=workflow_id(tenant, contract.name, request.request_id, keyed=True),
            task_queue=queue or contract.queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            memo={"progress": initial},
            search_attributes=TypedSearchAttributes(attributes),
            result_type=result,
        )


def replayer(settings: Settings, workflows: Iterable[type]) -> Replayer:
    """Replays as our workers run: same converter, interceptors, runner and engine."""
    return Replayer(
        workflows=list(workflows),
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter(settings),
        interceptors=[TenantInterceptor(Signer(settings.service_keys))],
    )
