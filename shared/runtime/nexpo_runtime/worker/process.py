"""A worker, whole: polls its queue, serves its reads, tells its health, ends in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import ModuleType

from grpc_health.v1 import health_pb2

from nexpo.contract import Queue

from ..service.health import Check, Health
from ..settings import Settings
from ..telemetry import logs, tracing
from . import invocation
from .bootstrap import Parts, introduce, run_service, serving_health
from .completeness import served
from .discovery import check_queue
from .invocation import Service
from .polling import QueuePoller, linked
from .probe import Probe
from .serving import WorkerServer

_log = logs.get(__name__)


class Started:
    """A worker that runs.

    Attributes:
        grpc_port: Where its gRPC listens.
        http_port: Where /live, /ready, /health and /metrics are.
        health: Its checks.
    """

    def __init__(self, grpc_port: int, http_port: int, health: Health) -> None:
        self.grpc_port = grpc_port
        self.http_port = http_port
        self.health = health


async def run_worker(
    settings: Settings,
    package: ModuleType,
    *,
    offers: Sequence[object] = (),
    providers: Mapping[str, str] | None = None,
    checks: Mapping[str, Check] | None = None,
    optional_checks: Mapping[str, Check] | None = None,
    expected: Queue | None = None,
) -> None:
    """Runs a worker until SIGTERM or SIGINT, then drains and returns.

    Its workflows and services are found in its package, and its queue is the one of
    its name. Temporal may be away at start or go later: the worker waits, says that
    it is not ready, and goes on by itself. With ENABLE_TEMPORAL=false it serves gRPC
    and HTTP only.

    Args:
        settings: The service's.
        package: The service's own.
        offers: What its classes may ask for, by type: objects, and functions under
            `asynccontextmanager` that open one. The settings are always offered.
        providers: "on", or "off: why", by name; logged at start and told by the probe.
        checks: Health checks without which the worker is not ready, such as
            the ping of its authority.
        optional_checks: Health checks without which it is degraded only.
        expected: What it must serve; what the contract says of the queue when None.

    Raises:
        ContractError: As `run_service`.
        OSError: An address is taken.
    """

    def running(parts: Parts) -> contextlib.AbstractAsyncContextManager[Started]:
        return running_worker(
            settings,
            queue=expected.name if expected else settings.service,
            workflows=parts.workflows,
            services=parts.services,
            providers=providers,
            checks=checks,
            optional_checks=optional_checks,
        )

    await run_service(settings, package, running, offers=offers, expected=expected)


@contextlib.asynccontextmanager
async def running_worker(
    settings: Settings,
    *,
    queue: str,
    workflows: Sequence[type] = (),
    services: Sequence[Service] = (),
    providers: Mapping[str, str] | None = None,
    checks: Mapping[str, Check] | None = None,
    optional_checks: Mapping[str, Check] | None = None,
) -> AsyncIterator[Started]:
    """`run_worker` of given parts, without the signals: drains at the end of the block."""
    invocation.check(map(type, services), queue)
    check_queue(tuple(workflows), queue)
    introduce(settings, queue, Parts(workflows, services), providers or {})
    probe: Service = Probe(settings.service, providers or {}, served(services, workflows))
    whole = [*services, probe]
    health = Health(settings.service)
    _add_checks(health, checks or {}, optional_checks or {})
    async with contextlib.AsyncExitStack() as stack:
        # Left in reverse: not ready, stop intake and drain, close, flush.
        stack.callback(tracing.flush)
        poller = None
        if settings.enable_temporal:
            link = linked(settings, health, queue=queue, workflows=workflows, services=whole)
            poller = await stack.enter_async_context(link)
        ports = await stack.enter_async_context(
            serving_health(settings, health, [settings.http_address])
        )
        grpc = await stack.enter_async_context(_work(settings, health, whole, poller))
        await stack.enter_async_context(health.watched())
        stack.push_async_callback(health.stopping)
        yield Started(grpc.port, ports[0], health)


@contextlib.asynccontextmanager
async def _work(
    settings: Settings, health: Health, services: Iterable[Service], poller: QueuePoller | None
) -> AsyncIterator[WorkerServer]:
    """Polls and serves gRPC; at the end both drain at the same time."""
    server = WorkerServer(settings, services)
    await server.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    await server.start()
    _log.info("serving gRPC", port=server.port)

    async def follow(ready: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await server.health.set("", status.SERVING if ready else status.NOT_SERVING)

    health.on_change(follow)
    if poller:
        poller.start()
    try:
        yield server
    finally:
        drained = [server.stop(settings.shutdown_timeout)]
        drained += [poller.drain()] if poller else []
        await asyncio.gather(*drained)


def _add_checks(
    health: Health, required: Mapping[str, Check], optional: Mapping[str, Check]
) -> None:
    for name, check in required.items():
        health.add(name, check)
    for name, check in optional.items():
        health.add(name, check, required=False)
