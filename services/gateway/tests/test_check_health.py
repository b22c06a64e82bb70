"""CheckHealth in process: the queues are the contract's, and each must serve what is its own."""

from __future__ import annotations

import asyncio

from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import (
    CheckHealthRequest,
    CheckHealthResponse,
    ProbeRequest,
    QueueHealth,
)
from nexpo.queues import QUEUES
from nexpo_gateway.processes.health.check_health import CheckHealth
from nexpo_runtime.errors import Fault
from nexpo_runtime.worker.probe import Probe
from nexpo_runtime.workflow.local_engine import Attempt, LocalOperation
from nexpo_runtime.workflow.virtual_time import VirtualTimeLoop

SILENT = Fault(Reason.REASON_WORKER_UNAVAILABLE)


def checked(serves: dict[str, list[str] | Fault]) -> CheckHealthResponse:
    """The answer where the workers of these queues serve that, and the others all."""
    known: dict[str, list[str] | Fault] = {queue.name: queue.rpcs for queue in QUEUES}
    known |= serves

    async def attempt(made: Attempt) -> Message:
        assert isinstance(made.call.request, ProbeRequest)
        found = known[made.call.queue or made.call.activity.queue]
        if isinstance(found, Fault):
            raise found
        return await Probe("modelled", {"here": "on"}, found).probe(made.call.request)

    async def run() -> CheckHealthResponse:
        name = "acme/nexpo.health.v1.CheckHealth/1"
        operation = LocalOperation(CheckHealth, CheckHealthRequest(), name, "run", attempt)
        answer = await operation.start()
        assert isinstance(answer, CheckHealthResponse)
        return answer

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


def of(answer: CheckHealthResponse, queue: str) -> QueueHealth:
    return next(health for health in answer.queues if health.queue == queue)


def test_every_queue_of_the_contract_is_probed_and_healthy_when_it_serves_all() -> None:
    answer = checked({})

    assert answer.healthy
    assert sorted(health.queue for health in answer.queues) == [queue.name for queue in QUEUES]
    assert all(health.healthy and not health.reason for health in answer.queues)


def test_a_queue_whose_worker_lacks_an_rpc_is_not_healthy_and_names_it() -> None:
    (database,) = (queue.rpcs for queue in QUEUES if queue.name == "nexpo-db")
    answer = checked({"nexpo-db": [rpc for rpc in database if not rpc.endswith("ListUsers")]})

    health = of(answer, "nexpo-db")
    assert not answer.healthy
    assert not health.healthy
    assert list(health.missing) == ["nexpo.users.v1.ListUsers"]
    assert health.reason == "WORKER_OUTDATED"
    assert [other.queue for other in answer.queues if not other.healthy] == ["nexpo-db"]


def test_a_workflow_that_the_gateway_lacks_is_named_too() -> None:
    (own,) = (queue.rpcs for queue in QUEUES if queue.name == "nexpo-gateway")
    answer = checked({"nexpo-gateway": [rpc for rpc in own if not rpc.endswith("UpdateUser")]})

    assert list(of(answer, "nexpo-gateway").missing) == ["nexpo.users.v1.UpdateUser"]
    assert not answer.healthy


def test_a_silent_queue_is_a_part_of_the_answer() -> None:
    answer = checked({"nexpo-ai": SILENT})

    assert of(answer, "nexpo-ai").reason == "WORKER_UNAVAILABLE"
    assert not answer.healthy
    assert sum(health.healthy for health in answer.queues) == len(QUEUES) - 1


def test_a_gateway_whose_own_queue_is_silent_is_not_healthy() -> None:
    answer = checked({"nexpo-gateway": SILENT})

    assert not answer.healthy
    assert [health.reason for health in answer.queues] == ["WORKER_UNAVAILABLE"]
