"""What bounds a call: deadlines and retries; and what counts as being there."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from prometheus_client import REGISTRY
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import ProbeRequest
from nexpo.registry import PROTOCOL
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import fault_from
from nexpo_runtime.service.health import Health
from nexpo_runtime.tenant import HEADER, Signer
from nexpo_runtime.worker.activity_interceptor import ActivityInterceptor

from .sample import SampleService
from .test_serving import HOLD, READ, clients, good_metadata, plain, serving

WORKFLOW = "acme/sample.v1.Sample/1"


async def test_a_worker_that_says_it_is_not_ready_counts_as_away() -> None:
    settings, states = plain(), health_pb2.HealthCheckResponse
    async with (
        serving(settings, SampleService()) as server,
        clients(settings, server.port) as workers,
    ):
        await server.health.set("", states.SERVING)
        await workers.check("sample")
        await server.health.set("", states.NOT_SERVING)
        with pytest.raises(Fault, match="WORKER_UNAVAILABLE"):
            await workers.check("sample")


async def answer_to(port: int, path: str, metadata: dict[str, str]) -> Fault:
    """How a call without a deadline fails."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            async with asyncio.timeout(90):
                await method(b"", metadata=grpc.aio.Metadata(*metadata.items()))
    return fault_from(error.value)


async def test_a_call_without_a_deadline_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexpo_runtime.worker.serving.DEFAULT_DEADLINE", 0.1)
    settings = plain()
    async with serving(settings, SampleService()) as server:
        fault = await answer_to(server.port, HOLD, good_metadata(settings, HOLD))
    assert fault.name == "DEADLINE_EXCEEDED"


async def test_an_attempt_that_is_no_number_is_refused() -> None:
    settings, name = plain(), PROTOCOL.attempt_metadata
    async with serving(settings, SampleService()) as server:
        fault = await answer_to(server.port, READ, good_metadata(settings) | {name: "-1"})
    assert (fault.name, fault.message) == ("INVALID_ARGUMENT", f"{name} must be a number.")


class Refusing(ActivityInboundInterceptor):
    """The activity itself: refuses for good."""

    def __init__(self) -> None:
        pass

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        raise Fault(Reason.REASON_STORE_REFUSED)


@pytest.mark.parametrize(("attempts", "final"), [(0, False), (1, True), (5, True)])
async def test_a_call_that_is_retried_without_limit_is_retried_after_any_fault(
    attempts: int, final: bool
) -> None:
    signer = Signer([b"k" * 32])
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info,
        workflow_id=WORKFLOW,
        retry_policy=RetryPolicy(maximum_attempts=attempts),
    )
    inbound = ActivityInterceptor(signer).intercept_activity(Refusing())
    headers = {HEADER: signer.header(WORKFLOW, "acme")}
    call = ExecuteActivityInput(fn=print, args=[ProbeRequest()], executor=None, headers=headers)

    async def attempt() -> None:
        await inbound.execute_activity(call)

    with pytest.raises(ApplicationError) as error:
        await environment.run(attempt)
    assert (error.value.type, error.value.non_retryable) == ("STORE_REFUSED", final)


async def test_a_checks_metric_follows_the_check() -> None:
    health, works = Health("sample"), [True]

    async def check() -> None:
        if not works[0]:
            raise Fault(Reason.REASON_STORE_UNAVAILABLE)

    health.add("a-check-of-its-own", check)
    for state in (True, False, True):
        works[0] = state
        await health.refresh()
        shown = REGISTRY.get_sample_value("nexpo_check_up", {"check": "a-check-of-its-own"})
        assert shown == float(state)
