"""How every service begins and ends, the gateway and the workers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from types import ModuleType

from starlette.applications import Starlette

from nexpo.contract import Queue

from ..service.health import Health, routes
from ..service.http_server import HttpServer
from ..service.shutdown import StopSignal
from ..settings import Settings
from ..telemetry import logs, tracing
from .completeness import check_complete, queue_of
from .discovery import discover
from .injection import Offers
from .invocation import Service
from .probe import PROBE

_log = logs.get(__name__)

_HTTP_GRACE = 2.0


@dataclass(frozen=True)
class Parts:
    """What a service is put together from.

    Attributes:
        workflows: Classes made by `@operation`.
        services: Implementations of activities and reads.
    """

    workflows: Sequence[type] = ()
    services: Sequence[Service] = ()


async def run_service(
    settings: Settings,
    package: ModuleType,
    running: Callable[[Parts], AbstractAsyncContextManager[object]],
    *,
    offers: Sequence[object] = (),
    expected: Queue | None = None,
    skip: str = "",
) -> None:
    """Runs a service until SIGTERM or SIGINT, then lets it drain.

    Args:
        settings: The service's; offered to its classes, too.
        package: What it is made of is found in it.
        running: Runs what was found inside its block.
        offers: What its classes may ask for, by type; see `injection`.
        expected: What it must serve; what the contract says of its queue when None.
        skip: A folder of the package that is not looked into.

    Raises:
        ContractError: What was found does not fit its contract, is not all that the
            contract says of the queue, or asks for what nobody offers.
        OSError: An address is taken.
    """
    found = discover(package, skip)
    queue = expected or queue_of(settings.service)
    check_complete(queue, found.services, found.workflows, PROBE, found.natives)
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(StopSignal())
        offered = Offers([settings, *offers], stack)
        services = [await offered.make(cls) for cls in found.services]
        await stack.enter_async_context(running(Parts(found.workflows, services)))
        await stop.wait()
    _log.info("stopped", service=settings.service)


def introduce(
    settings: Settings, queue: str, parts: Parts, providers: Mapping[str, str], **more: object
) -> None:
    """Logs what a service is about to be: where it works, what was found, what is on."""
    _log.info(
        "starting",
        service=settings.service,
        environment=settings.environment.value,
        queue=settings.queue(queue) if settings.enable_temporal else "none: ENABLE_TEMPORAL=false",
        temporal=settings.temporal_target if settings.enable_temporal else "off",
        encryption="on" if settings.codec_keys else "off: ENCRYPTION_KEYS is not set",
        workflows=[workflow.__name__ for workflow in parts.workflows],
        services=[service.CONTRACT.name for service in parts.services],
        providers=dict(sorted(providers.items())),
        **more,
    )
    if not settings.enable_temporal:
        _log.warning("operations are not durable: ENABLE_TEMPORAL is false, a restart loses them")


@contextlib.asynccontextmanager
async def serving_health(
    settings: Settings, health: Health, addresses: Sequence[str] = ()
) -> AsyncIterator[list[int]]:
    """Serves /live, /ready, /health and /metrics, also on METRICS_PORT when it is set.

    Yields:
        The ports, in the order of the addresses.
    """
    host = settings.http_address.rpartition(":")[0]
    metrics = [f"{host}:{settings.metrics_port}"] if settings.metrics_port else []
    if not addresses and not metrics:
        yield []
        return
    sdk_port = tracing.sdk_metrics_port(settings) if settings.enable_temporal else None
    http = HttpServer(Starlette(routes=list(routes(health, sdk_port))), [*addresses, *metrics])
    await http.start()
    _log.info("serving HTTP", ports=http.ports)
    try:
        yield list(http.ports)
    finally:
        await http.stop(_HTTP_GRACE)
