"""CheckHealth: proves that every queue answers, and serves what the contract says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import (
    CheckHealthRequest,
    CheckHealthResponse,
    ProbeRequest,
    ProbeResponse,
    QueueContract,
    QueueHealth,
)
from nexpo.health.v1.health_temporal import CheckHealthContract, probe_activities
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation

PROBE_WITHIN = timedelta(seconds=3)


@operation(CheckHealthContract)
class CheckHealth(Operation[CheckHealthRequest, CheckHealthResponse]):
    """Probes each queue on its own; a queue that is silent is a part of the answer.

    The gateway's own probe brings the contract with it. So the list of queues is
    a part of the history, and one more queue disturbs no check that runs.
    """

    async def execute(self, request: CheckHealthRequest) -> CheckHealthResponse:
        own = QueueHealth(queue=CheckHealthContract.queue)
        answer = await self._probe(own, ProbeRequest(with_contract=True))
        contract = {} if answer is None else {queue.queue: queue for queue in answer.contract}
        self.tracker.expect(max(len(contract), 1))
        if answer is not None:
            _compare(own, answer, contract.pop(own.queue, QueueContract()).serves)
        others = await asyncio.gather(*(self._checked(contract[name]) for name in sorted(contract)))
        queues = [own, *others]
        return CheckHealthResponse(healthy=all(q.healthy for q in queues), queues=queues)

    async def _checked(self, contract: QueueContract) -> QueueHealth:
        health = QueueHealth(queue=contract.queue)
        answer = await self._probe(health, ProbeRequest())
        if answer is not None:
            _compare(health, answer, contract.serves)
        return health

    async def _probe(self, health: QueueHealth, request: ProbeRequest) -> ProbeResponse | None:
        """Asks the worker of a queue; None when it does not answer."""
        queue = health.queue
        name = f"probe {queue}"
        began = flow.now()
        self.tracker.begin(name, queue)
        answer: ProbeResponse | None = None
        try:
            call = probe_activities.probe(request).on(queue).limited(PROBE_WITHIN)
            answer = await flow.call(call, name)
        except Fault as fault:
            health.reason = fault.name
            self.tracker.fail(name, fault)
        else:
            health.providers.extend(answer.providers)
            self.tracker.done(name, answer.attempt)
        health.latency.FromTimedelta(flow.now() - began)
        return answer


def _compare(health: QueueHealth, answer: ProbeResponse, expected: Sequence[str]) -> None:
    """Says of a queue that answered whether it serves all that is its own."""
    health.missing.extend(rpc for rpc in expected if rpc not in answer.serves)
    health.healthy = not health.missing
    if health.missing:
        health.reason = Fault(Reason.REASON_WORKER_OUTDATED).name
