"""A worker starts without Temporal, survives its loss, drains, and keeps data to itself."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.converter import DataConverter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from nexpo.contract import Method, ServiceContract
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import ProbeRequest, ProbeResponse
from nexpo_dev import servers
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import fault_from
from nexpo_runtime.service.health import Status
from nexpo_runtime.settings import Environment, Settings
from nexpo_runtime.temporal.connection import TemporalLink, connect
from nexpo_runtime.worker.polling import QueuePoller
from nexpo_runtime.worker.process import Started, running_worker

from .conftest import begin, eventually
from .sample import QUEUE, TENANT, Sample, SampleService


async def get(port: int, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(_get, f"http://127.0.0.1:{port}{path}")


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def becomes(port: int, status: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return (await get(port, "/ready"))[0] == status

    return check


async def test_history_shows_no_clear_text(
    worker: Started, client: Client, settings: Settings, service: SampleService
) -> None:
    service.error = Fault(Reason.REASON_STORE_REFUSED, "canary-message", metadata={"m": "canary"})
    handle = await begin(client, settings, "refuse-canary")
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert fault_from(caught.value).message == "canary-message"
    history = (await handle.fetch_history()).to_json()
    payload_texts = history.replace(handle.id, "")
    assert "STORE_REFUSED" in payload_texts
    assert "canary" not in _decoded(payload_texts)


def _decoded(history: str) -> str:
    """The history with every base64 payload that is clear text decoded beside it."""
    texts = [history]
    pending: list[object] = [json.loads(history)]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str):
            try:
                texts.append(base64.b64decode(value, validate=True).decode(errors="ignore"))
            except ValueError:
                continue
    return "\n".join(texts)


async def test_a_retryable_fault_is_retried_and_attempts_are_counted(
    worker: Started, client: Client, settings: Settings, service: SampleService
) -> None:
    service.error, service.refuses = Fault(Reason.REASON_STORE_UNAVAILABLE), 2
    handle = await begin(client, settings, "refuse-1")
    assert (await handle.result()).attempt == 3


async def test_a_final_fault_is_not_retried(
    worker: Started, client: Client, settings: Settings, service: SampleService
) -> None:
    service.error = Fault(Reason.REASON_FENCED)
    with pytest.raises(WorkflowFailureError) as caught:
        await (await begin(client, settings, "refuse-1")).result()
    assert fault_from(caught.value).name == "FENCED"
    assert service.refusals == 1


async def test_an_unknown_exception_becomes_internal_and_its_text_stays_in_the_worker(
    worker: Started, client: Client, settings: Settings, service: SampleService
) -> None:
    service.error = ValueError("canary")
    handle = await begin(client, settings, "refuse-1")
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    fault = fault_from(caught.value)
    assert (fault.name, service.refusals) == ("INTERNAL", 1)
    everything = await _clear_history(settings, handle.id)
    assert "canary" not in everything


async def _clear_history(settings: Settings, workflow_id: str) -> str:
    """What an operator with the keys can read in the history."""
    client = await connect(settings)
    converter: DataConverter = client.config()["data_converter"]
    handle = client.get_workflow_handle(workflow_id)
    history = await handle.fetch_history()
    texts = [history.to_json()]
    for event in history.events:
        for failure in (
            event.activity_task_failed_event_attributes.failure,
            event.workflow_execution_failed_event_attributes.failure,
        ):
            if failure.HasField("encoded_attributes"):
                texts += [repr(v) for v in await converter.decode([failure.encoded_attributes])]
    return "\n".join(texts)


async def test_the_probe_answers_on_the_queue_of_every_worker(
    worker: Started, client: Client, settings: Settings
) -> None:
    answer = await (await begin(client, settings, "probe-1")).result()
    assert answer.service == Settings.service
    assert list(answer.providers) == ["here"]
    assert answer.version


async def test_a_worker_drains_before_it_ends(
    settings: Settings, service: SampleService, client: Client
) -> None:
    async with running_worker(
        settings, queue=QUEUE, workflows=[Sample], services=[service]
    ) as started:
        await eventually(lambda: started.health.ready)
        handle = await begin(client, settings, "hold-1")
        await service.held.wait()
        ending = asyncio.create_task(_release_once_not_ready(started, service))
    await ending
    # Its workflow goes on with the next worker, from the answer that was not lost.
    async with running_worker(settings, queue=QUEUE, workflows=[Sample], services=[service]):
        answer = await handle.result()
    assert (answer.service, answer.attempt) == (TENANT, 1)


async def _release_once_not_ready(started: Started, service: SampleService) -> None:
    await eventually(lambda: not started.health.ready)
    assert (await get(started.http_port, "/ready"))[0] == 503
    service.release.set()


async def test_a_worker_waits_for_temporal_and_survives_its_loss(tmp_path: Path) -> None:
    temporal = servers.temporal(tmp_path / "temporal")
    settings = Settings.load(environment=Environment.TEST, temporal_address=temporal.url)
    service = SampleService()
    try:
        async with running_worker(
            settings, queue=QUEUE, workflows=[Sample], services=[service]
        ) as started:
            status, body = await get(started.http_port, "/health")
            assert status == 503
            assert json.loads(body)["checks"]["temporal"]["reason"] == "TEMPORAL_UNAVAILABLE"
            assert (await get(started.http_port, "/live"))[0] == 200
            await temporal.start()
            await eventually(becomes(started.http_port, 200))
            client = await connect(settings)
            assert (await (await begin(client, settings, "greet-1")).result()).service == TENANT
            await temporal.kill()
            await eventually(becomes(started.http_port, 503))
            await temporal.start()
            await eventually(becomes(started.http_port, 200))
            assert (await (await begin(client, settings, "greet-2")).result()).service == TENANT
    finally:
        await temporal.kill()


async def test_polling_that_breaks_off_begins_again_on_a_new_connection(
    settings: Settings, service: SampleService
) -> None:
    occupied = await connect(settings)
    # The SDK refuses a second worker for one queue on one client: polling breaks off at once.
    first = Worker(
        occupied,
        task_queue=settings.queue(QUEUE),
        workflows=[Sample],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    given = [occupied]

    async def connector(settings: Settings) -> Client:
        return given.pop() if given else await connect(settings)

    async with TemporalLink(settings, connector) as link:
        poller = QueuePoller(settings, link, queue=QUEUE, workflows=[Sample], services=[service])
        running = asyncio.create_task(poller.run())
        await eventually(lambda: poller.polling)
        assert (await (await begin(await connect(settings), settings, "greet-1")).result()).attempt
        poller.stop()
        await running
    assert not given
    assert not first.is_running


async def test_the_link_fails_fast_while_temporal_is_away(tmp_path: Path) -> None:
    temporal = servers.temporal(tmp_path / "temporal")
    settings = Settings.load(environment=Environment.TEST, temporal_address=temporal.url)
    try:
        async with TemporalLink(settings) as link:
            with pytest.raises(Fault) as caught:
                link.require()
            assert caught.value.name == "TEMPORAL_UNAVAILABLE"
            assert caught.value.retry_after
            await temporal.start()
            await eventually(lambda: link.up)
            link.require()
            await temporal.kill()
            await eventually(lambda: not link.up, within=4)
            with pytest.raises(Fault):
                link.require()
    finally:
        await temporal.kill()


async def test_without_temporal_a_worker_serves_grpc_and_http(service: SampleService) -> None:
    settings = Settings.load(environment=Environment.TEST, enable_temporal=False)
    async with running_worker(settings, queue=QUEUE, services=[service]) as started:
        assert (await get(started.http_port, "/ready"))[0] == 200
        assert started.grpc_port
        assert (await get(started.http_port, "/metrics"))[0] == 200


async def test_a_check_that_a_worker_can_do_without_only_degrades_it() -> None:
    async def away() -> None:
        raise Fault(Reason.REASON_STORE_UNAVAILABLE)

    settings = Settings.load(environment=Environment.TEST, enable_temporal=False)
    async with running_worker(settings, queue=QUEUE, optional_checks={"other": away}) as started:
        assert started.health.status is Status.DEGRADED
    async with running_worker(settings, queue=QUEUE, checks={"store": away}) as started:
        assert started.health.status is Status.FAILING


async def test_metrics_show_our_own_and_the_sdks(
    worker: Started, client: Client, settings: Settings
) -> None:
    await (await begin(client, settings, "greet-1")).result()
    status, page = await get(worker.http_port, "/metrics")
    assert status == 200
    assert 'nexpo_activity_seconds_count{method="sample.v1.Greet",outcome="ok",reason=""}' in page
    assert "temporal_" in page
    assert "nexpo_temporal_up 1.0" in page


class Incomplete:
    """Lacks what its contract says."""

    CONTRACT: ClassVar[ServiceContract] = ServiceContract(
        name="sample.v1.Incomplete",
        queue="elsewhere",
        methods=(Method("sample.v1.Lost", "lost", ProbeRequest, ProbeResponse, "activity"),),
    )

    def lost(self, request: ProbeRequest) -> ProbeResponse:
        raise AssertionError


async def test_what_does_not_fit_its_contract_is_told_at_start() -> None:
    settings = Settings.load(environment=Environment.TEST, enable_temporal=False)
    with pytest.raises(TypeError) as caught:
        async with running_worker(settings, queue=QUEUE, services=[Incomplete()]):
            pass
    assert "async def lost" in str(caught.value)
    assert "belongs to elsewhere" in str(caught.value)
    with pytest.raises(TypeError, match="belongs to sample"):
        async with running_worker(settings, queue="another", workflows=[Sample]):
            pass
