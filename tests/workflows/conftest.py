"""Workflows on the real Temporal server with a clock per workflow, over the modelled world.

Temporal, encryption, the tenant's signature and the mapping of
failures are the real ones; the databases and the other parts are the models of
the simulation, whose rules the stores' own suites check on real servers.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import nexpo_gateway.processes
from nexpo.ai.v1.ai_service import AiActivitiesBase
from nexpo.cloud.v1.cloud_service import CloudActivitiesBase
from nexpo.contract import WorkflowContract
from nexpo.data.v1.data_service import UserStoreActivitiesBase
from nexpo.notifications.v1.notifications_service import NotificationActivitiesBase
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_pb2 import (
    OnboardUserRequest,
    OnboardUserResponse,
    ResendVerificationRequest,
    ResendVerificationResponse,
    VerifyEmailRequest,
    VerifyEmailResponse,
)
from nexpo.users.v1.users_temporal import OnboardUserContract
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import tenant_of, workflow_id
from nexpo_runtime.settings import Settings
from nexpo_runtime.temporal.converter import data_converter
from nexpo_runtime.temporal.tenant_interceptors import TenantInterceptor
from nexpo_runtime.tenant import Signer, acting_for
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.activity_interceptor import ActivityInterceptor, activities_of
from nexpo_runtime.worker.discovery import discover
from nexpo_runtime.workflow.temporal_engine import STATE_ATTRIBUTE, TENANT_ATTRIBUTE, use_temporal
from tests.simulation.world import Mail, World

TIME_SCALE = 0.1

FaultOf = Callable[[str, int], Fault | None]
"""What goes wrong with a step ("create in postgres", "undo ...") at an attempt, from 1."""


@dataclass
class Place:
    """One test's world and what goes wrong in it."""

    world: World
    fault: FaultOf = lambda step, attempt: None
    after: FaultOf = lambda step, attempt: None
    reached: Callable[[str], None] = lambda step: None
    attempts: dict[str, int] = field(default_factory=dict)


WORKFLOWS = discover(nexpo_gateway.processes).workflows
PLACES: dict[str, Place] = {}
_KEYLESS = {"DescribeStores": "choose stores", "ReadUser": "read a copy"}
_UNDOS = ("ReleaseEmail", "RemoveUser", "UnlockUser", "RemoveHome")


async def _serve(request: Message) -> Message:
    context = activity.current()
    place = PLACES[context.tenant]
    name = type(request).__name__.removesuffix("Request")
    step = getattr(request, "key", "").rpartition("/")[2] or _KEYLESS[name]
    undo = name in _UNDOS or "restored" in step
    step = f"undo {step}" if undo else step
    place.attempts[step] = context.attempt
    if fault := place.fault(step, context.attempt):
        raise fault
    answer = place.world.apply(request)
    place.reached(step)
    if fault := place.after(step, context.attempt):
        raise fault
    return answer


def modelled(base: Any) -> Any:
    """An implementation of a service's generated base over the tenant's world."""

    async def call(self: object, request: Message) -> Message:
        return await _serve(request)

    methods = {method.method: call for method in base.CONTRACT.methods}
    return type(f"Modelled{base.__name__}", (base,), methods)()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """The dev server with a clock per workflow, that moves only when a test says so."""
    key = base64.b64encode(os.urandom(32)).decode()
    settings = Settings.load(ENVIRONMENT="test", SERVICE_KEY="k" * 40, ENCRYPTION_KEYS=f"k1:{key}")
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        data_converter=data_converter(settings),
        interceptors=[TenantInterceptor(Signer(settings.service_keys))],
        search_attributes=[STATE_ATTRIBUTE, TENANT_ATTRIBUTE],
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        dev_server_extra_args=[
            *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
            *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=1000"),
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
        ],
        dev_server_startup_timeout=None,
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def pace() -> None:
    """The engine is one a process, and another file's worker may have set it to its own pace."""
    use_temporal(TIME_SCALE)


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def workers(environment: WorkflowEnvironment) -> AsyncIterator[None]:
    """A worker for each queue."""
    signer = Signer([b"k" * 40])
    bases: dict[str, Any] = {
        "nexpo-gateway": NotificationActivitiesBase,
        "nexpo-db": UserStoreActivitiesBase,
        "nexpo-cloud": CloudActivitiesBase,
        "nexpo-ai": AiActivitiesBase,
    }
    running = [
        Worker(
            environment.client,
            task_queue=queue,
            workflows=discover(nexpo_gateway.processes).workflows
            if queue == "nexpo-gateway"
            else [],
            activities=activities_of([modelled(base)]),
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[ActivityInterceptor(signer)],
        )
        for queue, base in bases.items()
    ]
    tasks = [asyncio.create_task(worker.run()) for worker in running]
    yield
    await asyncio.gather(*(worker.shutdown() for worker in running))
    await asyncio.gather(*tasks)


class Onboarding:
    """One OnboardUser on the server, and what a person can do with it."""

    def __init__(self, handle: WorkflowHandle[Any, OnboardUserResponse], place: Place) -> None:
        self.handle = handle
        self.place = place
        self.tenant = tenant_of(handle.id)

    async def mail(self, kind: str = "FIRST") -> Mail:
        """The latest mail of the kind, once it has arrived."""
        async with asyncio.timeout(90):
            while True:
                mails = [mail for mail in self.place.world.mails if mail.kind.endswith(kind)]
                if mails:
                    return mails[-1]
                await asyncio.sleep(0.01)

    async def verify(self, token: str | None = None, request_id: str = "") -> VerifyEmailResponse:
        """Sends a token, by default that of the first mail. Raises: WorkflowUpdateFailedError."""
        await self.until(lambda progress: progress.state != Progress.RUNNING)
        token = token if token is not None else (await self.mail()).token
        request = VerifyEmailRequest(
            token_digest=hashlib.sha256(token.encode()).hexdigest(),
            request_id=request_id or str(uuid.uuid4()),
        )
        with acting_for(self.tenant):
            answer: VerifyEmailResponse = await self.handle.execute_update(
                "nexpo.users.v1.VerifyEmail",
                request,
                result_type=VerifyEmailResponse,
            )
        return answer

    async def resend(self) -> ResendVerificationResponse:
        """Asks for another mail."""
        with acting_for(self.tenant):
            answer: ResendVerificationResponse = await self.handle.execute_update(
                "nexpo.users.v1.ResendVerification",
                ResendVerificationRequest(request_id=str(uuid.uuid4())),
                result_type=ResendVerificationResponse,
            )
        return answer

    async def dealt_with_its_cancel(self) -> None:
        """Waits until the workflow has seen that it was asked to stop."""
        async with asyncio.timeout(20):
            while True:
                kinds = [e.event_type async for e in self.handle.fetch_history_events()]
                asked = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
                if asked in kinds:
                    later = kinds[kinds.index(asked) :]
                    if EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in later:
                        return
                await asyncio.sleep(0.02)

    async def progress(self) -> Progress:
        """What the memo shows."""
        description = await self.handle.describe()
        return await description.memo_value("progress", type_hint=Progress)

    async def until(self, condition: Callable[[Progress], bool]) -> Progress:
        """The first progress for which the condition holds."""
        async with asyncio.timeout(90):
            while True:
                progress = await self.progress()
                if condition(progress):
                    return progress
                await asyncio.sleep(0.02)


StartOnboarding = Callable[..., Any]


@pytest.fixture
def place() -> Place:
    """A world of the test's own; its tenant is in PLACES."""
    return Place(World())


@pytest.fixture
def onboard(environment: WorkflowEnvironment, place: Place) -> StartOnboarding:
    """Starts an onboarding as the gateway does."""
    tenant = f"t{uuid.uuid4().hex[:12]}"
    PLACES[tenant] = place

    async def start(request: OnboardUserRequest | None = None, **fields: Any) -> Onboarding:
        request = request or OnboardUserRequest(
            email="ada@example.test",
            display_name="Ada",
            password_hash="hash",
            request_id="r1",
            **fields,
        )
        handle = await start_operation(environment, tenant, OnboardUserContract, request)
        return Onboarding(handle, place)

    return start


async def start_operation(
    environment: WorkflowEnvironment,
    tenant: str,
    contract: WorkflowContract[Any],
    request: Any,
) -> WorkflowHandle[Any, Any]:
    """Starts an operation of a tenant by its contract."""
    initial = Progress(state=Progress.RUNNING, type=contract.name)
    with acting_for(tenant):
        return await environment.client.start_workflow(
            contract.name,
            request,
            id=workflow_id(tenant, contract.name, request.request_id, keyed=True),
            task_queue=contract.queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            memo={"progress": initial},
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(STATE_ATTRIBUTE, "RUNNING"),
                    SearchAttributePair(TENANT_ATTRIBUTE, tenant),
                ]
            ),
            result_type=contract.response,
        )
