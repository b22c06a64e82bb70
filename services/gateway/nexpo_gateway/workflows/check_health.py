"""CheckHealth: proves that every queue answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from nexpo.health.v1.health_pb2 import (
    CheckHealthRequest,
    CheckHealthResponse,
    ProbeRequest,
    QueueHealth,
)
from nexpo.health.v1.health_temporal import CheckHealthContract, probe_activities
from nexpo_runtime import flow
from nexpo_runtime.errors import Fault
from nexpo_runtime.operation import Operation, operation

QUEUES = ("nexpo-gateway", "nexpo-db", "nexpo-cloud", "nexpo-ai")
PROBE_WITHIN = timedelta(seconds=3)


@operation(CheckHealthContract)
class CheckHealth(Operation[CheckHealthRequest, CheckHealthResponse]):
    """Probes each queue on its own; a queue that is silent is a part of the answer."""

    async def execute(self, request: CheckHealthRequest) -> CheckHealthResponse:
        self.tracker.expect(len(QUEUES))
        queues = await asyncio.gather(*(self._probe(queue) for queue in QUEUES))
        return CheckHealthResponse(healthy=all(q.healthy for q in queues), queues=queues)

    async def _probe(self, queue: str) -> QueueHealth:
        health = QueueHealth(queue=queue)
        name = f"probe {queue}"
        began = flow.now()
        self.tracker.begin(name, queue)
        try:
            call = probe_activities.probe(ProbeRequest()).on(queue).limited(PROBE_WITHIN)
            answer = await flow.call(call, name)
        except Fault as fault:
            health.reason = fault.name
            self.tracker.fail(name, fault)
        else:
            health.healthy = True
            health.providers.extend(answer.providers)
            self.tracker.done(name, answer.attempt)
        health.latency.FromTimedelta(flow.now() - began)
        return health
