"""One trace from the client through Temporal to the activity, and over gRPC."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from nexpo_dev.pytest_plugin import TemporalAddress

from .conftest import eventually
from .test_process import COMMAND, ROOT, environment

CLIENT = """
import asyncio, os
from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeResponse
from nexpo_runtime.telemetry import tracing
from nexpo_runtime import tenant
from nexpo_runtime.settings import Settings
from nexpo_runtime.temporal.connection import connect

async def main():
    settings = Settings.load()
    client = await connect(settings)
    with tracing.span("client call"), tenant.acting_for("acme"):
        await client.execute_workflow(
            "sample.v1.Sample", CheckHealthRequest(request_id="greet-1"),
            id=f"acme/sample.v1.Sample/{os.getpid()}", task_queue=settings.queue("sample"),
            result_type=ProbeResponse)
    tracing.flush()
    print("done", flush=True)
    os._exit(0)

asyncio.run(main())
"""


# More than the SDK sends in one batch: it waits for each.
MANY_SPANS = """
import os, time
from nexpo_runtime.telemetry import logs, tracing
from nexpo_runtime.settings import Settings

class ManySettings(Settings):
    service = "many"

settings = ManySettings.load()
logs.configure(settings)
tracing.configure(settings)
for _ in range(2000):
    with tracing.span("one of many"):
        pass
for _ in range(2):
    began = time.monotonic()
    tracing.flush()
    print(time.monotonic() - began, flush=True)
os._exit(0)
"""


class Collector:
    """Receives spans over OTLP/gRPC."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, str]] = []
        self.port = 0

    async def receive(
        self, request: ExportTraceServiceRequest, context: object
    ) -> ExportTraceServiceResponse:
        for resource in request.resource_spans:
            service = next(
                a.value.string_value
                for a in resource.resource.attributes
                if a.key == "service.name"
            )
            for scope in resource.scope_spans:
                self.spans += [(service, s.name, s.trace_id.hex()) for s in scope.spans]
        return ExportTraceServiceResponse()

    def traces_of(self, name: str) -> set[str]:
        return {trace for _, span, trace in self.spans if span == name}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    handler = grpc.unary_unary_rpc_method_handler(
        collector.receive,
        request_deserializer=ExportTraceServiceRequest.FromString,
        response_serializer=ExportTraceServiceResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                "opentelemetry.proto.collector.trace.v1.TraceService", {"Export": handler}
            )
        ]
    )
    collector.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield collector
    await server.stop(0)


async def test_one_trace_reaches_from_the_client_to_the_activity(
    temporal: TemporalAddress, collector: Collector, tmp_path: Path
) -> None:
    variables = environment(
        TEMPORAL_ADDRESS=temporal.url,
        TEMPORAL_TASK_QUEUE=f"trace-{os.getpid()}-",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
    )
    with (tmp_path / "log").open("wb") as log:
        worker = await asyncio.create_subprocess_exec(*COMMAND, cwd=ROOT, env=variables, stderr=log)
    try:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT, cwd=ROOT, env=variables
        )
        assert await asyncio.wait_for(client.wait(), 90) == 0
    finally:
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 90) == 0
    await eventually(lambda: bool(collector.traces_of("client call")))
    [trace] = collector.traces_of("client call")
    for span in (
        "StartWorkflow:sample.v1.Sample",
        "RunWorkflow:sample.v1.Sample",
        "StartActivity:sample.v1.Greet",
        "RunActivity:sample.v1.Greet",
    ):
        assert collector.traces_of(span) == {trace}, f"{span} in {collector.spans}"
    assert ("sample-worker", "RunActivity:sample.v1.Greet", trace) in collector.spans


async def test_a_collector_that_never_answers_holds_no_end_up() -> None:
    connected = asyncio.Event()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await asyncio.sleep(60)
        writer.close()

    silent = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MANY_SPANS),
        cwd=ROOT,
        env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, log = await asyncio.wait_for(process.communicate(), 90)
    silent.close()
    first, again = map(float, out.split())
    assert connected.is_set()
    assert 2.9 < first < 20
    assert again < 2.5
    assert b"the last traces are lost" in log
