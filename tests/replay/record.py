"""Records a history for each way in which a workflow goes: python -m tests.replay.record

The workflows run on the real Temporal server over the modelled world.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import nexpo_gateway.processes
from nexpo.ai.v1.ai_service import AiActivitiesBase
from nexpo.cloud.v1.cloud_service import CloudActivitiesBase
from nexpo.contract import WorkflowContract
from nexpo.data.v1.data_pb2 import EraseUserRequest
from nexpo.data.v1.data_service import UserStoreActivitiesBase
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import CheckHealthRequest
from nexpo.health.v1.health_temporal import CheckHealthContract
from nexpo.notifications.v1.notifications_service import NotificationActivitiesBase
from nexpo.operations.v1.operations_pb2 import (
    MarkOperationTaskDoneRequest,
    MarkOperationTaskDoneResponse,
    Progress,
    RetryOperationTaskRequest,
    RetryOperationTaskResponse,
)
from nexpo.users.v1.users_pb2 import (
    DeleteUserRequest,
    OnboardUserRequest,
    RepairUserRequest,
    Store,
    UpdateUserRequest,
)
from nexpo.users.v1.users_temporal import (
    DeleteUserContract,
    OnboardUserContract,
    RepairUserContract,
    UpdateUserContract,
)
from nexpo_runtime.errors import Fault
from nexpo_runtime.settings import Settings
from nexpo_runtime.temporal.converter import data_converter
from nexpo_runtime.temporal.tenant_interceptors import TenantInterceptor
from nexpo_runtime.tenant import Signer, acting_for
from nexpo_runtime.worker.activity_interceptor import ActivityInterceptor, activities_of
from nexpo_runtime.worker.completeness import queue_of
from nexpo_runtime.worker.discovery import discover
from nexpo_runtime.worker.probe import Probe
from nexpo_runtime.workflow.temporal_engine import STATE_ATTRIBUTE, TENANT_ATTRIBUTE, use_temporal
from tests.simulation.world import World
from tests.workflows.conftest import PLACES, FaultOf, Onboarding, Place, modelled, start_operation

from .recorded import HISTORIES, settings

WORKFLOWS = discover(nexpo_gateway.processes).workflows
_PACE = 0.02
_BASES: dict[str, Any] = {
    "nexpo-gateway": NotificationActivitiesBase,
    "nexpo-db": UserStoreActivitiesBase,
    "nexpo-cloud": CloudActivitiesBase,
    "nexpo-ai": AiActivitiesBase,
}
_UNAVAILABLE = Fault(Reason.REASON_STORE_UNAVAILABLE)
_REFUSED = Fault(Reason.REASON_STORE_REFUSED)


class Recorder:
    """Runs scenarios and keeps their histories."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        self._environment = environment
        self._types: dict[str, str] = {}

    async def onboarding(self, fault: FaultOf = lambda step, attempt: None) -> Onboarding:
        """Begins one in a world of its own."""
        place = Place(World(), fault)
        tenant = f"t{uuid.uuid4().hex[:8]}"
        PLACES[tenant] = place
        request = OnboardUserRequest(
            email="ada@example.test",
            display_name="Ada",
            password_hash="hash",
            request_id="recorded",
        )
        request.profile.locale = "de-CH"
        request.profile.attributes.update({"colour": "red", "age": 36})
        request.verify_within.FromSeconds(10)
        handle = await self.start(tenant, OnboardUserContract, request)
        return Onboarding(handle, place)

    async def user(self) -> tuple[Place, str, str]:
        """An active one: where, whose, and its id."""
        onboarding = await self.onboarding()
        await onboarding.verify()
        result = await onboarding.handle.result()
        return onboarding.place, onboarding.tenant, result.user.user_id

    async def start(
        self, tenant: str, contract: WorkflowContract[Any], request: Any
    ) -> WorkflowHandle[Any, Any]:
        """Begins an operation."""
        handle = await start_operation(self._environment, tenant, contract, request)
        self._types[handle.id] = contract.name.rpartition(".")[2]
        return handle

    async def keep(self, handle: WorkflowHandle[Any, Any], scenario: str) -> None:
        """Waits for the end and writes the history."""
        with suppress(WorkflowFailureError):
            await handle.result()
        history = await handle.fetch_history()
        short = self._types[handle.id]
        target = HISTORIES / short / f"{scenario.replace(' ', '_')}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(history.to_json_dict(), indent=1) + "\n", encoding="utf-8")
        print(f"{short:12} {scenario:40} {len(history.events)} events")


Scenario = Callable[[Recorder], Awaitable[None]]


async def onboard_verified(recorder: Recorder) -> None:
    """Also the reminder, a wrong token, a lock-out and a resend."""
    onboarding = await recorder.onboarding()
    await onboarding.mail("REMINDER")
    for _ in range(6):
        with suppress(WorkflowUpdateFailedError):
            await onboarding.verify("wrong")
    await onboarding.resend()
    await onboarding.mail("RESEND")
    await onboarding.verify((await onboarding.mail("RESEND")).token)
    await recorder.keep(onboarding.handle, "verified after reminder lock and resend")


async def onboard_retried(recorder: Recorder) -> None:
    """Each step fails once, and the model is away for good."""

    def fault(step: str, attempt: int) -> Fault | None:
        if step == "write welcome text":
            return Fault(Reason.REASON_MODEL_REFUSED)
        return _UNAVAILABLE if attempt == 1 else None

    onboarding = await recorder.onboarding(fault)
    await onboarding.verify()
    await recorder.keep(onboarding.handle, "verified with retries and a template")


async def onboard_undone(recorder: Recorder) -> None:
    """One store refuses."""
    onboarding = await recorder.onboarding(
        lambda step, attempt: _REFUSED if step == "create in sqlserver" else None
    )
    await recorder.keep(onboarding.handle, "undone because a store refused")


async def onboard_expired(recorder: Recorder) -> None:
    """Nobody verifies."""
    onboarding = await recorder.onboarding()
    await recorder.keep(onboarding.handle, "undone because it expired")


async def onboard_cancelled(recorder: Recorder) -> None:
    """Cancelled while it waits, and again while it undoes."""
    onboarding = await recorder.onboarding(
        lambda step, attempt: _UNAVAILABLE if step.startswith("undo") and attempt < 4 else None
    )
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await onboarding.handle.cancel()
    await onboarding.until(lambda progress: progress.state == Progress.UNDOING)
    await onboarding.handle.cancel()
    await recorder.keep(onboarding.handle, "undone because it was cancelled")


async def onboard_blocked(recorder: Recorder) -> None:
    """Two undos are blocked: a human retries one and does the other by hand."""
    mended = asyncio.Event()

    def fault(step: str, attempt: int) -> Fault | None:
        if step == "provision home":
            return _REFUSED
        if step == "undo create in mongodb" and not mended.is_set():
            return _UNAVAILABLE
        return _UNAVAILABLE if step == "undo create in supabase" else None

    onboarding = await recorder.onboarding(fault)
    await onboarding.until(lambda progress: len(progress.tasks) == 2)
    mended.set()
    await _update(
        onboarding,
        "RetryOperationTask",
        RetryOperationTaskRequest(task="create-in-mongodb", request_id="retry"),
        RetryOperationTaskResponse,
    )
    await _update(
        onboarding,
        "MarkOperationTaskDone",
        MarkOperationTaskDoneRequest(
            task="create-in-supabase", note="by hand", request_id="by-hand"
        ),
        MarkOperationTaskDoneResponse,
    )
    await recorder.keep(onboarding.handle, "undone with blocked undos")


async def update_changed(recorder: Recorder) -> None:
    """All goes well."""
    _, tenant, user_id = await recorder.user()
    handle = await recorder.start(tenant, UpdateUserContract, _change(user_id))
    await recorder.keep(handle, "changed")


async def update_undone(recorder: Recorder) -> None:
    """One store refuses."""
    place, tenant, user_id = await recorder.user()
    # The undo, which is a write to the same store, is refused once, too.
    place.fault = lambda step, attempt: (
        _REFUSED if step == "update in cosmosdb" and attempt == 1 else None
    )
    handle = await recorder.start(tenant, UpdateUserContract, _change(user_id))
    await recorder.keep(handle, "undone because a store refused")


async def delete_deleted(recorder: Recorder) -> None:
    """All goes well, at the second attempt of one store."""
    place, tenant, user_id = await recorder.user()
    place.fault = lambda step, attempt: (
        _UNAVAILABLE if step == "delete from mongodb" and attempt == 1 else None
    )
    request = DeleteUserRequest(user_id=user_id, request_id="deletion")
    handle = await recorder.start(tenant, DeleteUserContract, request)
    await recorder.keep(handle, "deleted")


async def delete_refused(recorder: Recorder) -> None:
    """The etag is another: the lock is undone."""
    _, tenant, user_id = await recorder.user()
    request = DeleteUserRequest(user_id=user_id, etag="old", request_id="deletion")
    handle = await recorder.start(tenant, DeleteUserContract, request)
    await recorder.keep(handle, "undone because the etag was old")


async def health(recorder: Recorder, scenario: str) -> None:
    """Every queue that has a worker answers."""
    tenant = f"t{uuid.uuid4().hex[:8]}"
    PLACES[tenant] = Place(World())
    request = CheckHealthRequest(request_id="recorded")
    handle = await recorder.start(tenant, CheckHealthContract, request)
    await recorder.keep(handle, scenario)


async def repair_repaired(recorder: Recorder) -> None:
    """One copy is missing, one differs."""
    place, tenant, user_id = await recorder.user()
    lost = EraseUserRequest(key="lost", store=Store.STORE_MONGODB, user_id=user_id)
    place.world.apply(lost)
    differs = place.world.find(Store.STORE_COSMOSDB, user_id)
    assert differs is not None
    differs.etag = "older"
    request = RepairUserRequest(user_id=user_id, request_id="repair")
    await recorder.keep(await recorder.start(tenant, RepairUserContract, request), "repaired")


async def repair_refused(recorder: Recorder) -> None:
    """A store cannot be read."""
    place, tenant, user_id = await recorder.user()
    place.fault = lambda step, attempt: _REFUSED if step == "read a copy" else None
    request = RepairUserRequest(user_id=user_id, request_id="repair")
    handle = await recorder.start(tenant, RepairUserContract, request)
    await recorder.keep(handle, "undone because a store could not be read")


SCENARIOS: tuple[Scenario, ...] = (
    *(onboard_verified, onboard_retried, onboard_undone, onboard_expired, onboard_cancelled),
    *(onboard_blocked, update_changed, update_undone, delete_deleted, delete_refused),
    *(repair_repaired, repair_refused),
)


def _change(user_id: str) -> UpdateUserRequest:
    request = UpdateUserRequest(user_id=user_id, display_name="Ada L.", request_id="change")
    request.profile.plan = "pro"
    request.update_mask.paths.extend(["display_name", "profile.plan"])
    return request


async def _update(
    onboarding: Onboarding, method: str, request: Message, response: type[Message]
) -> None:
    with acting_for(onboarding.tenant):
        await onboarding.handle.execute_update(
            f"nexpo.operations.v1.{method}", request, result_type=response
        )


def _worker(environment: WorkflowEnvironment, queue: str) -> Worker:
    services = [
        modelled(_BASES[queue]),
        # Reads are not modelled; the probe of a whole worker names them all the same.
        Probe(queue, {"modelled": "on"}, queue_of(queue).rpcs),
    ]
    return Worker(
        environment.client,
        task_queue=queue,
        workflows=discover(nexpo_gateway.processes).workflows if queue == "nexpo-gateway" else [],
        activities=activities_of(services),
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[ActivityInterceptor(Signer(settings().service_keys))],
    )


@asynccontextmanager
async def _server(known: Settings) -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        data_converter=data_converter(known),
        interceptors=[TenantInterceptor(Signer(known.service_keys))],
        search_attributes=[STATE_ATTRIBUTE, TENANT_ATTRIBUTE],
        identity="recorder",
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
    ) as environment:
        yield environment


async def record_operations(environment: WorkflowEnvironment) -> None:
    """All but CheckHealth."""
    recorder = Recorder(environment)
    async with AsyncExitStack() as stack:
        for queue in _BASES:
            await stack.enter_async_context(_worker(environment, queue))
        await asyncio.gather(*(scenario(recorder) for scenario in SCENARIOS))


async def record_health(environment: WorkflowEnvironment) -> None:
    """CheckHealth, with every queue and then without one."""
    recorder = Recorder(environment)
    *most, last = [_worker(environment, queue) for queue in _BASES]
    async with AsyncExitStack() as stack:
        for worker in most:
            await stack.enter_async_context(worker)
        async with last:
            await health(recorder, "healthy")
        await health(recorder, "one queue silent")


async def main() -> None:
    """Records every scenario: in clear for people to read, CheckHealth encrypted."""
    use_temporal(_PACE, task_after=timedelta(seconds=2))
    known = settings()
    async with _server(known.model_copy(update={"encryption_keys": None})) as environment:
        await record_operations(environment)
    async with _server(known) as environment:
        await record_health(environment)


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)  # the SDK's runtime may abort while the interpreter ends
