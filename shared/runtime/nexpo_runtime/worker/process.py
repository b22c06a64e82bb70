"""A worker, whole: polls its queue, serves its reads, tells its health, ends in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from grpc_health.v1 import health_pb2
from starlette.applications import Starlette

from nexpo.contract import Queue

from ..service.health import Check, Health, routes
from ..service.http_server import HttpServer
from ..service.shutdown import StopSignal
from ..settings import Settings
from ..telemetry import logs, tracing
from ..temporal.connection import TemporalLink
from . import invocation
from .completeness import check_complete, queue_of, served
from .discovery import check_queue, discover
from .invocation import Service
from .polling import QueuePoller
from .probe import PROBE, Probe
from .serving import WorkerServer

__all__ = ["Started", "discover", "run_worker", "running_worker"]

_log = logs.get(__name__)

_HTTP_GRACE = 2.0
_REPORT_GRACE = 5.0
"""Seconds to report what was finished, or cancelled, at the very end of the drain."""


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
    *,
    queue: str,
    workflows: Sequence[type] = (),
    services: Sequence[Service] = (),
    providers: Mapping[str, str] | None = None,
    checks: Mapping[str, Check] | None = None,
    optional_checks: Mapping[str, Check] | None = None,
    expected: Queue | None = None,
) -> None:
    """Runs a worker until SIGTERM or SIGINT, then drains and returns.

    Temporal may be away at start or go later: the worker waits, says that it is
    not ready, and goes on by itself. With ENABLE_TEMPORAL=false it serves gRPC
    and HTTP only.

    Args:
        settings: The service's.
        queue: The contract's name of its task queue.
        workflows: From `discover`.
        services: Instances of subclasses of generated bases.
        providers: "on", or "off: why", by name; logged at start and told by the probe.
        checks: Health checks without which the worker is not ready, such as
            the ping of its authority.
        optional_checks: Health checks without which it is degraded only.
        expected: What it must serve; what the contract says of the queue when None.

    Raises:
        ContractError: Workflows or services do not fit their contracts, or are
            not all that the contract says of the queue.
        OSError: An address is taken.
    """
    check_complete(expected or queue_of(queue), services, workflows, runtime=PROBE)
    with StopSignal() as stop:
        async with running_worker(
            settings,
            queue=queue,
            workflows=workflows,
            services=services,
            providers=providers,
            checks=checks,
            optional_checks=optional_checks,
        ):
            await stop.wait()
    _log.info("stopped", service=settings.service)


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
    """`run_worker` without the signals: runs inside the block, drains at its end."""
    invocation.check(services, queue)
    check_queue(tuple(workflows), queue)
    _introduce(settings, queue, workflows, services, providers or {})
    probe: Service = Probe(settings.service, providers or {}, served(services, workflows))
    whole = [*services, probe]
    health = Health(settings.service)
    _add_checks(health, checks or {}, optional_checks or {})
    async with contextlib.AsyncExitStack() as stack:
        # Left in reverse: not ready, stop intake and drain, close, flush.
        stack.callback(tracing.flush)
        poller = None
        if settings.enable_temporal:
            link = await stack.enter_async_context(TemporalLink(settings))
            poller = QueuePoller(settings, link, queue=queue, workflows=workflows, services=whole)
            health.add("temporal", link.check)
            health.add("polling", poller.check)
        http = await stack.enter_async_context(_http(settings, health))
        grpc = await stack.enter_async_context(_work(settings, health, whole, poller))
        await stack.enter_async_context(health.watched())
        stack.push_async_callback(health.stopping)
        yield Started(grpc.port, http.ports[0], health)


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
    polling = asyncio.create_task(poller.run()) if poller else None
    try:
        yield server
    finally:
        if poller:
            poller.stop()
        drained = [asyncio.create_task(server.stop(settings.shutdown_timeout))]
        drained += [polling] if polling else []
        # Bounded, whatever Temporal does: a hanging one must not keep the process.
        await asyncio.wait(drained, timeout=settings.shutdown_timeout + _REPORT_GRACE)


@contextlib.asynccontextmanager
async def _http(settings: Settings, health: Health) -> AsyncIterator[HttpServer]:
    sdk_port = tracing.sdk_metrics_port(settings) if settings.enable_temporal else None
    addresses = [settings.http_address]
    if settings.metrics_port:
        host = settings.http_address.rpartition(":")[0]
        addresses.append(f"{host}:{settings.metrics_port}")
    http = HttpServer(Starlette(routes=list(routes(health, sdk_port))), addresses)
    await http.start()
    _log.info("serving HTTP", ports=http.ports)
    try:
        yield http
    finally:
        await http.stop(_HTTP_GRACE)


def _add_checks(
    health: Health, required: Mapping[str, Check], optional: Mapping[str, Check]
) -> None:
    for name, check in required.items():
        health.add(name, check)
    for name, check in optional.items():
        health.add(name, check, required=False)


def _introduce(
    settings: Settings,
    queue: str,
    workflows: Sequence[type],
    services: Sequence[Service],
    providers: Mapping[str, str],
) -> None:
    _log.info(
        "starting",
        service=settings.service,
        environment=settings.environment.value,
        queue=settings.queue(queue) if settings.enable_temporal else "none: ENABLE_TEMPORAL=false",
        temporal=settings.temporal_target if settings.enable_temporal else "off",
        encryption="on" if settings.codec_keys else "off: ENCRYPTION_KEYS is not set",
        workflows=[workflow.__name__ for workflow in workflows],
        services=[service.CONTRACT.name for service in services],
        providers=dict(sorted(providers.items())),
    )
    if not settings.enable_temporal:
        _log.warning("operations are not durable: ENABLE_TEMPORAL is false")
