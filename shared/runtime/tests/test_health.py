"""Health tells the truth: per dependency, within its time, and again when it is back."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.edge.worker_clients import WorkerClients
from nexpo_runtime.errors import ContractError, Fault
from nexpo_runtime.service.health import Health, Status, routes
from nexpo_runtime.service.http_server import HttpServer
from nexpo_runtime.settings import Environment, Settings
from nexpo_runtime.worker.process import running_worker

from .conftest import eventually
from .sample import QUEUE, SampleService


class Dependency:
    """Answers, refuses or hangs, as it is told."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False

    async def ping(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error:
            raise self.error


def checks(report: dict[str, object]) -> dict[str, dict[str, object]]:
    found = report["checks"]
    assert isinstance(found, dict)
    return found


async def test_readiness_follows_a_dependency_down_and_up_again() -> None:
    settings = Settings.load(environment=Environment.TEST, enable_temporal=False)
    database = Dependency()
    async with (
        running_worker(
            settings, queue=QUEUE, services=[SampleService()], checks={"postgres": database.ping}
        ) as worker,
        WorkerClients(settings, {"sample": [f"127.0.0.1:{worker.grpc_port}"]}) as workers,
    ):
        assert worker.health.ready
        await workers.check("sample")
        database.error = Fault(Reason.REASON_STORE_UNAVAILABLE)
        await eventually(lambda: not worker.health.ready)
        assert checks(worker.health.report())["postgres"]["reason"] == "STORE_UNAVAILABLE"
        with pytest.raises(Fault, match="WORKER_UNAVAILABLE"):
            await workers.check("sample")
        assert worker.health.live
        database.error = None
        await eventually(lambda: worker.health.ready)
        await workers.check("sample")


async def test_a_dependency_that_hangs_counts_as_failed_within_its_time() -> None:
    health, database = Health("test"), Dependency()
    database.hangs = True
    health.add("postgres", database.ping, timeout=0.05)
    await health.refresh()
    assert not health.ready
    assert checks(health.report())["postgres"]["reason"] == "DEADLINE_EXCEEDED"


async def test_a_slow_check_does_not_keep_the_others_waiting() -> None:
    health, slow = Health("test"), Dependency()
    slow.hangs = True
    for name in "abcdefgh":
        health.add(name, slow.ping, timeout=0.4)
    async with asyncio.timeout(3.0):
        await health.refresh()


async def test_no_check_hides_another_of_its_name() -> None:
    health = Health("sample")
    health.add("temporal", Dependency().ping)
    with pytest.raises(ContractError, match="Two health checks are called temporal"):
        health.add("temporal", Dependency().ping, required=False)


async def test_an_optional_dependency_only_degrades() -> None:
    health, claude = Health("test"), Dependency()
    health.add("claude", claude.ping, required=False)
    await health.refresh()
    assert health.status is Status.OK
    claude.error = ValueError("canary")
    await health.refresh()
    assert (health.ready, health.status) == (True, Status.DEGRADED)
    assert "canary" not in str(health.report())


async def test_listeners_hear_every_change_once() -> None:
    health, database = Health("test"), Dependency()
    heard: list[bool] = []

    async def listen(ready: bool) -> None:
        heard.append(ready)

    health.on_change(listen)
    health.add("postgres", database.ping)
    await health.refresh()
    await health.refresh()
    database.error = OSError()
    await health.refresh()
    await health.refresh()
    await health.stopping()
    assert heard == [True, False]


async def test_a_stopping_service_is_not_ready_whatever_its_checks_say() -> None:
    health = Health("test")
    await health.refresh()
    assert health.ready
    await health.stopping()
    await health.refresh()
    assert not health.ready


async def test_the_metrics_port_serves_the_same_pages() -> None:
    from .test_worker import get

    app = Starlette(routes=[*routes(Health("test"), None), Route("/x", lambda r: None)])
    server = HttpServer(app, ["127.0.0.1:0", "127.0.0.1:0"])
    await server.start()
    try:
        for port in server.ports:
            assert (await get(port, "/live"))[0] == 200
            assert "nexpo_activity_seconds" in (await get(port, "/metrics"))[1]
    finally:
        await server.stop(1)
