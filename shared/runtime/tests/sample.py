"""A sample service and a sample operation, small enough to see through."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from nexpo.ai.v1.ai_pb2 import WriteWelcomeRequest
from nexpo.contract import Activity, Handler, Method, Retry, ServiceContract, WorkflowContract
from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeRequest, ProbeResponse
from nexpo_runtime.worker import activity
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation

QUEUE = "sample"
TENANT = "acme"
PROBE = "nexpo.health.v1.Probe"
_METHODS = ("greet", "refuse", "hold", "read")


def _rpc(method: str) -> str:
    return f"sample.v1.{method.capitalize()}"


@dataclass
class SampleService:
    """Greets, refuses with `error` (as often as `refuses` says; None is for ever), and
    holds until it is released."""

    CONTRACT: ClassVar[ServiceContract] = ServiceContract(
        name="sample.v1.SampleActivities",
        queue=QUEUE,
        methods=tuple(
            Method(
                _rpc(method),
                method,
                ProbeRequest,
                ProbeResponse,
                "read" if method == "read" else "activity",
            )
            for method in _METHODS
        ),
    )

    error: Exception = field(default_factory=lambda: RuntimeError("nothing set"))
    refuses: int | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    refusals: int = 0

    async def greet(self, request: ProbeRequest) -> ProbeResponse:
        call = activity.current()
        return ProbeResponse(service=call.tenant, version=call.operation)

    async def read(self, request: ProbeRequest) -> ProbeResponse:
        return await self.greet(request)

    async def refuse(self, request: ProbeRequest) -> ProbeResponse:
        if self.refusals == self.refuses:
            return await self.greet(request)
        self.refusals += 1
        raise self.error

    async def hold(self, request: ProbeRequest) -> ProbeResponse:
        self.held.set()
        await self.release.wait()
        return await self.greet(request)


SampleContract: WorkflowContract[object] = WorkflowContract(
    name="sample.v1.Sample",
    queue=QUEUE,
    request=CheckHealthRequest,
    response=ProbeResponse,
    deadline=timedelta(minutes=1),
    handlers=(Handler("sample.v1.Nudge", "nudge", "signal", ProbeRequest, Empty),),
)


@operation(SampleContract)
class Sample(Operation[CheckHealthRequest, ProbeResponse]):
    """Calls the method that the start of the request id names: "greet-1", or "probe-1"
    for the runtime's own; "wait-1" waits for a nudge; "many-8-1000-1" makes 8 calls at
    once of 1000 bytes each."""

    nudges = 0

    async def nudge(self, request: ProbeRequest) -> Empty:
        self.nudges += 1
        return Empty()

    async def execute(self, request: CheckHealthRequest) -> ProbeResponse:
        if request.request_id.startswith("wait"):
            await flow.until(lambda: self.nudges > 0)
            return ProbeResponse(service=flow.tenant())
        if request.request_id.startswith("many"):
            return await self._many(*map(int, request.request_id.split("-")[1:3]))
        method = request.request_id.partition("-")[0]
        call = Activity(
            name=PROBE if method == "probe" else _rpc(method),
            queue=QUEUE,
            request=ProbeRequest,
            response=ProbeResponse,
            start_to_close=timedelta(seconds=20),
            heartbeat=timedelta(seconds=5),
            retry=Retry.RETRY_STANDARD,
        )
        return await flow.call(call(ProbeRequest()))

    async def _many(self, calls: int, size: int) -> ProbeResponse:
        greet = Activity(_rpc("greet"), QUEUE, Message, ProbeResponse, timedelta(seconds=20))
        # Not ASCII: as JSON it takes three times the bytes.
        large = WriteWelcomeRequest(key="k", display_name="ü" * (size // 2))
        await asyncio.gather(*(flow.call(greet(large), f"call {n}") for n in range(calls)))
        return ProbeResponse(service=str(calls))
