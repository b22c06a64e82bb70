"""A worker of the sample service, and the client that starts its operations."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client, WorkflowHandle

from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeResponse
from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_dev.waiting import eventually as eventually
from nexpo_runtime import tenant
from nexpo_runtime.settings import Environment, Settings
from nexpo_runtime.temporal.connection import connect
from nexpo_runtime.worker.process import Started, running_worker

from .sample import QUEUE, TENANT, Sample, SampleContract, SampleService


@pytest.fixture
def settings(temporal: TemporalAddress) -> Settings:
    """Encryption on; a queue of the test's own by the prefix."""
    key = base64.b64encode(os.urandom(32)).decode()
    return Settings.load(
        environment=Environment.TEST,
        temporal_address=temporal.url,
        temporal_namespace=temporal.namespace,
        temporal_task_queue=f"{uuid.uuid4().hex[:8]}-",
        encryption_keys=f"k1:{key}",
        shutdown_timeout=10,
    )


@pytest.fixture
def service() -> SampleService:
    return SampleService()


@pytest.fixture
async def worker(settings: Settings, service: SampleService) -> AsyncIterator[Started]:
    """A ready worker with the sample service and operation."""
    async with running_worker(
        settings,
        queue=QUEUE,
        workflows=[Sample],
        services=[service],
        providers={"here": "on", "there": "off: ENABLE_THERE is false"},
    ) as started:
        await eventually(lambda: started.health.ready)
        service_release = service.release.set
        yield started
        service_release()


@pytest.fixture
async def client(settings: Settings) -> Client:
    return await connect(settings)


async def begin(
    client: Client, settings: Settings, request_id: str
) -> WorkflowHandle[object, ProbeResponse]:
    """Starts the sample operation for TENANT, as the gateway does."""
    with tenant.acting_for(TENANT):
        return await client.start_workflow(
            SampleContract.name,
            CheckHealthRequest(request_id=request_id),
            id=sample_id(request_id),
            task_queue=settings.queue(QUEUE),
            result_type=ProbeResponse,
        )


def sample_id(request_id: str) -> str:
    return f"acme/sample.v1.Sample/{request_id}-{uuid.uuid4().hex[:8]}"
