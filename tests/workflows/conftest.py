"""Workflows on the real Temporal server with a clock per workflow, over the modelled world.

Temporal, encryption, the tenant's signature and the mapping of
failures are the real ones; the databases and the other parts are the models of
the simulation, whose rules the stores' own suites check on real servers.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from nexpo.queues import QUEUES
from nexpo.users.v1.users_pb2 import OnboardUserRequest
from nexpo.users.v1.users_temporal import OnboardUserContract
from nexpo_runtime.settings import Settings
from nexpo_runtime.temporal.converter import data_converter
from nexpo_runtime.temporal.tenant_interceptors import TenantInterceptor
from nexpo_runtime.tenant import Signer
from nexpo_runtime.testing import start_operation
from nexpo_runtime.worker.activity_interceptor import ActivityInterceptor, activities_of
from nexpo_runtime.workflow.temporal_engine import STATE_ATTRIBUTE, TENANT_ATTRIBUTE, use_temporal
from tests.house import WORKFLOWS
from tests.simulation.world import World

from .modelled import PLACES, Place, modelled_services
from .onboarding import Onboarding

TIME_SCALE = 0.1


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
    services = modelled_services()
    running = [
        Worker(
            environment.client,
            task_queue=queue.name,
            workflows=[w for w in WORKFLOWS if w.contract.queue == queue.name],
            activities=activities_of(s for s in services if s.CONTRACT.queue == queue.name),
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[ActivityInterceptor(signer)],
        )
        for queue in QUEUES
    ]
    tasks = [asyncio.create_task(worker.run()) for worker in running]
    yield
    await asyncio.gather(*(worker.shutdown() for worker in running))
    await asyncio.gather(*tasks)


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
        handle = await start_operation(environment.client, tenant, OnboardUserContract, request)
        return Onboarding(handle, place)

    return start
