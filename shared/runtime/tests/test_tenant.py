"""A workflow, an update and an activity without the tenant's signature do not run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from temporalio import client as sdk
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeRequest, ProbeResponse
from nexpo.operations.v1.operations_pb2 import RetryOperationTaskRequest
from nexpo_runtime import tenant
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import fault_from
from nexpo_runtime.settings import Settings
from nexpo_runtime.tenant import HEADER, SIGNATURE, Signer
from nexpo_runtime.worker.process import Started

from .conftest import begin, sample_id
from .sample import QUEUE, TENANT, SampleContract, SampleService

WORKFLOW = "acme/sample.v1.Sample/1"


class Forger(sdk.Interceptor):
    """Puts the same header on every call, whatever it says."""

    def __init__(self, headers: Mapping[str, Payload]) -> None:
        self.headers = headers

    def intercept_client(self, next: sdk.OutboundInterceptor) -> sdk.OutboundInterceptor:
        headers = self.headers

        class Outbound(sdk.OutboundInterceptor):
            async def start_workflow(
                self, input: sdk.StartWorkflowInput
            ) -> sdk.WorkflowHandle[Any, Any]:
                return await self.next.start_workflow(dataclasses.replace(input, headers=headers))

            async def start_workflow_update(
                self, input: sdk.StartWorkflowUpdateInput
            ) -> sdk.WorkflowUpdateHandle[Any]:
                return await self.next.start_workflow_update(
                    dataclasses.replace(input, headers=headers)
                )

        return Outbound(next)


def forging(client: Client, headers: Mapping[str, Payload]) -> Client:
    config = client.config()
    return Client(
        client.service_client,
        namespace=client.namespace,
        data_converter=config["data_converter"],
        interceptors=[Forger(headers)],
    )


FORGERIES = {
    "none": {},
    "another key": {HEADER: Signer([b"guessed"]).header(WORKFLOW, TENANT)},
    "nonsense": {HEADER: Payload(data=b"[1")},
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_workflow_without_a_valid_tenant_fails_and_runs_nothing(
    worker: Started, client: Client, settings: Settings, forgery: str
) -> None:
    handle = await forging(client, FORGERIES[forgery]).start_workflow(
        SampleContract.name,
        CheckHealthRequest(request_id="greet-1"),
        id=sample_id("greet-1"),
        task_queue=settings.queue(QUEUE),
        result_type=ProbeResponse,
    )
    with pytest.raises(sdk.WorkflowFailureError) as caught:
        await handle.result()
    assert fault_from(caught.value).name == "UNAUTHENTICATED"
    events = [event async for event in handle.fetch_history_events()]
    assert not any(e.HasField("activity_task_scheduled_event_attributes") for e in events)


async def test_a_signature_for_one_workflow_does_not_start_another(
    worker: Started, client: Client, settings: Settings
) -> None:
    stolen = {HEADER: Signer(settings.service_keys).header(WORKFLOW, TENANT)}
    handle = await forging(client, stolen).start_workflow(
        SampleContract.name,
        CheckHealthRequest(request_id="greet-1"),
        id=sample_id("greet-1"),
        task_queue=settings.queue(QUEUE),
    )
    with pytest.raises(sdk.WorkflowFailureError):
        await handle.result()


async def test_a_forged_update_is_refused_and_any_signal_of_temporals_own_dropped(
    worker: Started, client: Client, settings: Settings
) -> None:
    handle = await begin(client, settings, "wait-1")
    forged = forging(client, FORGERIES["another key"]).get_workflow_handle(handle.id)
    for call, request in (
        ("nexpo.operations.v1.RetryOperationTask", RetryOperationTaskRequest(task="t")),
        ("sample.v1.Nudge", ProbeRequest()),
    ):
        with pytest.raises(sdk.WorkflowUpdateFailedError) as caught:
            await forged.execute_update(call, request)
        assert fault_from(caught.value).name == "UNAUTHENTICATED"
    await handle.signal("sample.v1.Nudge", ProbeRequest())
    described = await handle.describe()
    assert described.status == sdk.WorkflowExecutionStatus.RUNNING
    with tenant.acting_for(TENANT):
        await handle.execute_update("sample.v1.Nudge", ProbeRequest())
    assert (await handle.result()).service == TENANT


async def test_the_tenant_reaches_the_activity(
    worker: Started, client: Client, settings: Settings, service: SampleService
) -> None:
    handle = await begin(client, settings, "greet-1")
    answer = await handle.result()
    assert (answer.service, answer.version, answer.attempt) == (TENANT, handle.id, 1)


async def test_a_client_that_says_no_tenant_cannot_start_anything(
    client: Client, settings: Settings
) -> None:
    with pytest.raises(RuntimeError, match="acting_for"):
        await client.start_workflow(
            SampleContract.name, Empty(), id="x", task_queue=settings.queue(QUEUE)
        )


def test_after_the_block_calls_are_no_tenants() -> None:
    with tenant.acting_for(TENANT):
        assert tenant.acting_tenant() == TENANT
    with pytest.raises(RuntimeError, match="acting_for"):
        tenant.acting_tenant()


def test_no_line_break_moves_the_end_of_a_scope_into_the_tenant() -> None:
    signer = Signer([b"key"])
    signature = signer.signature(f"{WORKFLOW}\nother", TENANT)
    assert not signer.valid(WORKFLOW, f"other\n{TENANT}", signature)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"tenant": "acme"}',
        b'{"tenant": "acme", "signature": 1}',
        rb'{"tenant": "acme", "signature": "\ud800"}',
    ],
)
def test_a_header_that_says_nothing_is_refused_as_no_header_is(data: bytes) -> None:
    for headers in ({HEADER: Payload(data=data)}, {}):
        with pytest.raises(Fault) as caught:
            Signer([b"key"]).verified(headers, WORKFLOW)
        assert caught.value.reason == Reason.REASON_UNAUTHENTICATED


def test_an_old_key_still_verifies_after_rotation() -> None:
    written = {HEADER: Signer([b"old"]).header(WORKFLOW, TENANT)}
    assert Signer([b"new", b"old"]).verified(written, WORKFLOW) == TENANT
    with pytest.raises(Fault):
        Signer([b"new"]).verified(written, WORKFLOW)


def test_a_tenant_cannot_sign_for_a_workflow_of_another() -> None:
    signer = Signer([b"key"])
    header = {HEADER: signer.header(WORKFLOW, "other")}
    with pytest.raises(Fault) as caught:
        signer.verified(header, WORKFLOW)
    assert caught.value.reason == Reason.REASON_UNAUTHENTICATED


@pytest.mark.parametrize("changed", [HEADER, SIGNATURE])
def test_changed_metadata_is_refused(changed: str) -> None:
    signer = Signer([b"key"])
    metadata = dict(signer.metadata("/s/M", TENANT))
    assert signer.verified_metadata(metadata, "/s/M") == TENANT
    with pytest.raises(Fault):
        signer.verified_metadata(metadata, "/s/Other")
    with pytest.raises(Fault):
        signer.verified_metadata({**metadata, changed: metadata[changed] + "0"}, "/s/M")
    with pytest.raises(Fault):
        signer.verified_metadata({}, "/s/M")
