"""CheckHealth on Temporal, encrypted as in production; each way is kept for replay."""

from __future__ import annotations

from nexpo.health.v1.health_pb2 import CheckHealthRequest, CheckHealthResponse
from nexpo.health.v1.health_temporal import CheckHealthContract
from nexpo_gateway.processes.health.check_health import CheckHealth
from nexpo_runtime.testing import Recorder
from tests.workflows.modelled import modelled_services

REQUEST = CheckHealthRequest(request_id="recorded")


async def test_every_queue_answers(encrypted_recorder: Recorder) -> None:
    # A probe has its whole time: a busy machine's late answer is none of a sick queue.
    async with encrypted_recorder.serving([CheckHealth], modelled_services(), pace=1.0):
        handle = await encrypted_recorder.start(CheckHealthContract, REQUEST)
        assert await encrypted_recorder.keep(handle, "healthy") == "COMPLETED"
        answer: CheckHealthResponse = await handle.result()

    assert answer.healthy, answer


async def test_one_queue_is_silent(encrypted_recorder: Recorder) -> None:
    silent = "nexpo-ai"
    others = [s for s in modelled_services() if s.CONTRACT.queue != silent]
    async with encrypted_recorder.serving([CheckHealth], others):
        handle = await encrypted_recorder.start(CheckHealthContract, REQUEST)
        assert await encrypted_recorder.keep(handle, "one queue silent") == "COMPLETED"
        answer: CheckHealthResponse = await handle.result()

    assert [queue.queue for queue in answer.queues if not queue.healthy] == [silent]
