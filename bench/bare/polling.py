"""A worker of the bare SDK, tuned as ours is, so that the difference is the house alone."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, create_tracer_provider
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
)
from temporalio.service import GrpcCompression
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from nexpo_runtime.temporal.codec import EncryptionCodec
from nexpo_runtime.temporal.converter import PayloadConverter

_PASSED_THROUGH = ("bench", "buf", "nexpo", "google", "grpc", "opentelemetry")


async def bare_client(address: str, encryption_keys: str, *, tracing: bool | None = None) -> Client:
    """A client of the SDK with our codec and with tracing, and nothing else of ours.

    Args:
        address: The server's.
        encryption_keys: "id:base64key"; "" for payloads in clear text.
        tracing: Whether to trace; as the codec when None.
    """
    codec = None
    if encryption_keys:
        key_id, _, key = encryption_keys.partition(":")
        codec = EncryptionCodec({key_id: base64.b64decode(key)})
    plugins = []
    if bool(encryption_keys) if tracing is None else tracing:
        _trace()
        plugins = [OpenTelemetryPlugin(add_temporal_spans=True)]
    return await Client.connect(
        address,
        data_converter=DataConverter(
            payload_converter_class=PayloadConverter,
            failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
            payload_codec=codec,
        ),
        plugins=plugins,
        grpc_compression=GrpcCompression.NONE,
    )


def _trace() -> None:
    """As ours without a collector: nothing is recorded, ids travel."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import sampling
    from temporalio.contrib.opentelemetry import ReplaySafeTracerProvider

    if not isinstance(trace.get_tracer_provider(), ReplaySafeTracerProvider):
        trace.set_tracer_provider(
            create_tracer_provider(sampler=sampling.ALWAYS_OFF, shutdown_on_exit=False)
        )


async def poll(
    queue: str,
    workflows: Sequence[type],
    activities: Sequence[Callable[..., Any]],
) -> None:
    """Polls a queue until SIGTERM; address and keys come from the environment."""
    client = await bare_client(
        os.environ["TEMPORAL_ADDRESS"], os.environ.get("ENCRYPTION_KEYS", "")
    )
    worker = Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*_PASSED_THROUGH)
        ),
        max_concurrent_activities=200,
        max_concurrent_workflow_tasks=200,
        max_cached_workflows=1000,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(seconds=5),
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with worker:
        print("READY", flush=True)
        await stop.wait()
