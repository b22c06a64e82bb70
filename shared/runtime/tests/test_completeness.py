"""A worker that lacks what the contract says of its queue does not start, and says what."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from nexpo.cloud.v1.cloud_service import CloudActivitiesBase
from nexpo.contract import Queue, Served
from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeRequest
from nexpo.queues import QUEUES
from nexpo_runtime.errors import ContractError
from nexpo_runtime.worker.completeness import check_complete, queue_of, served
from nexpo_runtime.worker.discovery import discover
from nexpo_runtime.worker.probe import PROBE, Probe
from nexpo_runtime.workflow.operation import Operation

from . import sample
from .sample import QUEUE, Sample, SampleContract, SampleService

WHOLE = Queue(
    QUEUE,
    services=(Served(SampleService.CONTRACT.name, "proto/sample.proto:3", ("sample.v1.Greet",)),),
    workflows=(Served("sample.v1.Sample", "proto/sample.proto:9", ("sample.v1.Sample",)),),
)


def test_a_worker_that_serves_its_whole_queue_passes() -> None:
    check_complete(WHOLE, [SampleService], [Sample], runtime=())


def test_a_service_that_nobody_serves_is_named_with_its_place_and_the_mend() -> None:
    with pytest.raises(ContractError) as refused:
        check_complete(WHOLE, [], [Sample], runtime=())

    assert str(refused.value) == (
        "proto/sample.proto:3: sample.v1.SampleActivities belongs to sample, and no class of its"
        " worker is it: extend its base of nexpo....*_service in a module of the worker's package"
    )


def test_a_workflow_that_nobody_wrote_is_named_with_its_place_and_the_mend() -> None:
    with pytest.raises(ContractError) as refused:
        check_complete(WHOLE, [SampleService], [], runtime=())

    assert str(refused.value) == (
        "proto/sample.proto:9: sample.v1.Sample belongs to sample, and its worker has no such"
        " workflow: write a class under @operation in a module of the worker's package"
    )


def test_every_queue_of_the_contract_is_compared_with_it() -> None:
    for queue in QUEUES:
        with pytest.raises(ContractError) as refused:
            check_complete(queue, [], [], runtime=PROBE)
        for part in (*queue.services, *queue.workflows):
            if part.name not in PROBE:
                assert f"{part.place}: {part.name} belongs to {queue.name}" in str(refused.value)


def test_a_queue_that_nobody_declares_is_refused() -> None:
    with pytest.raises(ContractError, match='declares no queue "nexpo-shop" \\(nexpo-ai, '):
        queue_of("nexpo-shop")


def test_a_workflow_of_another_queue_is_refused() -> None:
    other = Queue("elsewhere")
    with pytest.raises(ContractError, match=r"sample\.v1\.Sample belongs to sample, not to elsewh"):
        check_complete(other, [], [Sample], runtime=())


def test_a_service_is_not_there_twice_nor_is_something_else_one() -> None:
    twice = [SampleService, SampleService]
    with pytest.raises(ContractError, match=r"both are sample\.v1\.SampleActivities: remove"):
        check_complete(WHOLE, twice, [Sample], runtime=())
    with pytest.raises(ContractError, match=r"builtins\.object is no service: extend a base"):
        check_complete(WHOLE, [object], [Sample], runtime=())  # type: ignore[list-item]  # the mistake


def test_a_method_of_a_service_that_takes_or_returns_another_message_is_refused() -> None:
    class Wrong(SampleService):
        async def greet(self, request: CheckHealthRequest) -> CheckHealthRequest:  # type: ignore[override]  # the mistake
            return request

    with pytest.raises(ContractError) as refused:
        check_complete(WHOLE, [Wrong], [Sample], runtime=())

    first, second = str(refused.value).splitlines()
    assert first.endswith(
        "greet gets a nexpo.health.v1.ProbeRequest, not a nexpo.health.v1.CheckHealthRequest"
    )
    assert "greet must return a nexpo.health.v1.ProbeResponse" in second
    assert first.startswith(f"{__file__}:")


def test_an_operation_without_a_contract_is_refused_and_a_base_of_others_is_not() -> None:
    module = types.ModuleType("shop")
    lonely = type("PlaceOrder", (Operation,), {"__module__": "shop"})
    setattr(module, "PlaceOrder", lonely)  # noqa: B010  # no attribute of modules
    with pytest.raises(ContractError, match=r"shop\.PlaceOrder has no contract"):
        discover(module)

    namespace = {"__module__": "shop", "__nexpo_contract__": SampleContract}
    setattr(module, "Placed", type("Placed", (lonely,), namespace))  # noqa: B010
    assert [found.__name__ for found in discover(module).workflows] == ["Placed"]


async def test_the_probe_says_what_a_worker_serves_and_what_the_contract_wants() -> None:
    probe = Probe("sample", {}, served([SampleService], discover(sample).workflows))

    answer = await probe.probe(ProbeRequest())
    asked = await probe.probe(ProbeRequest(with_contract=True))

    assert list(answer.serves) == [
        *("nexpo.health.v1.Probe", "sample.v1.Greet", "sample.v1.Hold"),
        *("sample.v1.Read", "sample.v1.Refuse", "sample.v1.Sample"),
    ]
    assert not answer.contract
    assert [queue.queue for queue in asked.contract] == [queue.name for queue in QUEUES]
    cloud = next(queue for queue in asked.contract if queue.queue == "nexpo-cloud")
    assert list(cloud.serves) == sorted(m.name for m in CloudActivitiesBase.CONTRACT.methods)


STARTS = {
    "an unknown queue": ("nexpo-shop", "", 'The contract declares no queue "nexpo-shop"'),
    "a service that nobody wrote": (
        "nexpo-cloud",
        "",
        "nexpo.cloud.v1.CloudActivities belongs to nexpo-cloud, and no class of its worker is it",
    ),
    "a service that lacks a method": (
        "nexpo-cloud",
        "from nexpo.cloud.v1.cloud_service import CloudActivitiesBase\n"
        "class Homes(CloudActivitiesBase): pass\n",
        "shop.activities.Homes has no 'async def create_home(self, request)', which is",
    ),
    "a constructor that asks for what nobody offers": (
        "nexpo-ai",
        "from nexpo.ai.v1.ai_service import AiActivitiesBase\n"
        "class Texts(AiActivitiesBase):\n"
        "    def __init__(self, pen: str) -> None: pass\n"
        "    async def write_welcome(self, request): pass\n",
        "shop.activities.Texts: the argument 'pen: str' is offered by nobody: let main offer",
    ),
    "a module that is not there": (
        "nexpo-cloud",
        "CONTRACT = None\nimport nexpo_shop\n",
        "No module named 'nexpo_shop'",
    ),
}


@pytest.mark.parametrize("what", STARTS)
def test_a_process_that_cannot_start_ends_and_its_log_has_the_text(
    what: str, tmp_path: Path
) -> None:
    name, written, said = STARTS[what]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").write_text("")
    (tmp_path / "shop/activities.py").write_text(written)
    program = (
        "import shop\n"
        "from nexpo_runtime.service import entrypoint\n"
        "from nexpo_runtime.settings import Settings\n"
        "from nexpo_runtime.worker.process import run_worker\n"
        f"class Shop(Settings):\n    service = '{name}'\n"
        "async def main(settings):\n    await run_worker(settings, shop)\n"
        "entrypoint.run(main, Shop)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"ENVIRONMENT": "test", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2, done.stderr
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    told = [line for line in lines if line["event"] == "cannot start"]
    assert said in told[0]["why"]
