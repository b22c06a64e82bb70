"""The gateway, whole: its surfaces, its own queue, its health, its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import Mount

import nexpo_gateway
from nexpo_runtime.edge.worker_clients import WorkerClients
from nexpo_runtime.service.health import Health, routes
from nexpo_runtime.service.http_server import HttpServer
from nexpo_runtime.telemetry import logs, tracing
from nexpo_runtime.worker.bootstrap import Parts, introduce, serving_health
from nexpo_runtime.worker.completeness import served
from nexpo_runtime.worker.discovery import discover
from nexpo_runtime.worker.injection import Offers
from nexpo_runtime.worker.invocation import Service
from nexpo_runtime.worker.invocation import check as check_services
from nexpo_runtime.worker.probe import Probe

from .calls.dispatcher import Dispatcher
from .calls.protection import Protection
from .calls.rate_limits import Limits
from .calls.reads import WorkerReads
from .contract import Contract
from .engines import QUEUE, running_engine
from .http.problems import malformed
from .identity.api_keys import ApiKeys, make_development_key
from .operations.pages import PageTokens
from .operations.waiting import Waiting
from .settings import GatewaySettings
from .surfaces.grpc import GrpcSurface
from .surfaces.rest import RestSurface
from .surfaces.verify_page import verify_routes

_DEVELOPMENT_KEY = """
  ***********************************************************************
  A development API key was made. It may do everything, and is shown only
  this once:

      {key}

  Send it as 'authorization: Bearer KEY'.
  ***********************************************************************
"""

_log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """A gateway that runs: where it listens, and its health."""

    grpc_port: int
    http_port: int
    health: Health


@contextlib.asynccontextmanager
async def running_gateway(
    settings: GatewaySettings,
    *,
    contract: Contract | None = None,
    workflows: Sequence[type] = (),
    services: Sequence[Service] = (),
    providers: Mapping[str, str] | None = None,
) -> AsyncIterator[Started]:
    """Runs the gateway inside the block and drains at its end.

    Temporal may be away: the gateway starts, says that it is not ready, and
    becomes ready by itself.

    Args:
        settings: The gateway's.
        contract: What to serve; everything that is installed when None.
        workflows: Workflows of its own queue.
        services: Activities of its own queue.
        providers: "on", or "off: why", by name.

    Raises:
        OSError: An address is taken, or the key file cannot be used.
    """
    contract = contract or Contract.load()
    check_services(map(type, services), QUEUE)
    introduce(
        settings,
        QUEUE,
        Parts(workflows, services),
        providers or {},
        methods=len(contract.rpcs),
        workers={name: ", ".join(found) or "none" for name, found in settings.workers.items()},
    )
    natives = discover(nexpo_gateway, "processes").natives
    keys = open_keys(settings)
    health = Health(settings.service)
    async with contextlib.AsyncExitStack() as stack:
        # Left in reverse: not ready, stop intake and drain, close, flush.
        stack.callback(tracing.flush)
        workers = await stack.enter_async_context(WorkerClients(settings, settings.workers))
        probe: Service = Probe(settings.service, providers or {}, served(services, workflows))
        backend = await stack.enter_async_context(
            running_engine(settings, contract, workflows, [*services, probe], workers, health)
        )
        waiting = Waiting(backend)
        pages = PageTokens(settings.service_keys)
        offers = Offers([settings, contract, backend, workers, waiting, pages], stack)
        dispatcher = Dispatcher(
            contract,
            authenticators=[keys],
            limits=Limits.of(settings),
            protection=Protection(settings.service_keys[0]),
            backend=backend,
            waiting=waiting,
            reads=WorkerReads(workers),
            natives=[await offers.make(native) for native in natives],
        )
        _watch_workers(health, settings, workers)
        grpc = GrpcSurface(settings, dispatcher)
        health.on_change(grpc.show_ready)
        await grpc.show_ready(False)
        await stack.enter_async_context(serving_health(settings, health))
        http = _http(settings, dispatcher, health)
        stack.push_async_callback(_drain, settings, dispatcher, grpc, http)
        await grpc.start()
        await http.start()
        await stack.enter_async_context(health.watched())
        stack.push_async_callback(health.stopping)
        _log.info("serving", grpc_port=grpc.port, http_ports=http.ports)
        yield Started(grpc.port, http.ports[0], health)


def open_keys(settings: GatewaySettings) -> ApiKeys:
    """The API keys; in development the file is made when there is none.

    Raises:
        OSError: The file is missing or malformed.
    """
    path = settings.keys_file
    if settings.may_make_key and not path.exists():
        with contextlib.suppress(FileExistsError):
            key = make_development_key(path)
            # Not into the log: logs are kept and shipped, and this is a secret.
            print(_DEVELOPMENT_KEY.format(key=key), file=sys.stderr, flush=True)
            _log.warning("made a development API key", tenant="dev", file=str(path))
    try:
        return ApiKeys(path)
    except ValueError as error:
        raise OSError(f"API_KEYS_FILE: {error}") from None


async def _drain(
    settings: GatewaySettings, dispatcher: Dispatcher, grpc: GrpcSurface, http: HttpServer
) -> None:
    """Ends both surfaces at the same time, and at once what would go on for long."""
    dispatcher.close()
    await asyncio.gather(grpc.stop(settings.shutdown_timeout), http.stop(settings.shutdown_timeout))


def _watch_workers(health: Health, settings: GatewaySettings, workers: WorkerClients) -> None:
    for worker, addresses in settings.workers.items():
        if addresses:
            # Without its workers the gateway still starts operations and shows them.
            health.add(worker, functools.partial(workers.check, worker), required=False)


def _http(settings: GatewaySettings, dispatcher: Dispatcher, health: Health) -> HttpServer:
    # Metrics are not for users: they have a port of their own, or none.
    shown = [route for route in routes(health, None) if route.path != "/metrics"]
    app = Starlette(
        routes=[
            *shown,
            *verify_routes(dispatcher, settings.public_path),
            Mount("/", app=RestSurface(dispatcher)),
        ]
    )
    return HttpServer(
        app, [settings.http_address], keep_alive=settings.http_keep_alive, malformed=malformed
    )
