"""What runs the gateway's operations: Temporal, or this process when it is switched off."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from nexpo_runtime.edge.worker_clients import WorkerClients
from nexpo_runtime.service.health import Health
from nexpo_runtime.temporal.connection import TemporalLink
from nexpo_runtime.worker.invocation import Service
from nexpo_runtime.worker.polling import linked

from .contract import Contract
from .operations.backend import OperationsBackend
from .operations.local import LocalBackend
from .operations.local_attempts import LocalAttempts
from .operations.pollers import check_polled
from .operations.temporal import TemporalBackend
from .settings import GatewaySettings

QUEUE = "nexpo-gateway"


@contextlib.asynccontextmanager
async def running_engine(
    settings: GatewaySettings,
    contract: Contract,
    workflows: Sequence[type],
    services: Sequence[Service],
    workers: WorkerClients,
    health: Health,
) -> AsyncIterator[OperationsBackend]:
    """Runs the engine that the settings ask for; adds its health checks.

    Args:
        settings: The gateway's.
        contract: What is served.
        workflows: Of the gateway's own queue; without Temporal, all there are.
        services: Activities of the gateway's own queue.
        workers: The way to the other queues' workers.
        health: Gets the engine's checks.
    """
    if settings.enable_temporal:
        async with _temporal(settings, contract, workflows, services, health) as backend:
            yield backend
        return
    local = LocalBackend(
        workflows,
        LocalAttempts(QUEUE, services, workers),
        timedelta(seconds=settings.task_after),
    )
    try:
        yield local
    finally:
        await local.close()


@contextlib.asynccontextmanager
async def _temporal(
    settings: GatewaySettings,
    contract: Contract,
    workflows: Sequence[type],
    services: Sequence[Service],
    health: Health,
) -> AsyncIterator[OperationsBackend]:
    if not settings.runs_processes:
        async with TemporalLink(settings) as link:
            health.add("temporal", link.check)
            health.add(
                "processes",
                lambda: check_polled(link.require(), settings.queue(QUEUE)),
                required=False,
            )
            yield _backend(settings, contract, link)
        return
    polling = linked(settings, health, queue=QUEUE, workflows=workflows, services=services)
    async with polling as poller:
        poller.start()
        try:
            yield _backend(settings, contract, poller.link)
        finally:
            await poller.drain()


def _backend(settings: GatewaySettings, contract: Contract, link: TemporalLink) -> TemporalBackend:
    return TemporalBackend(
        link,
        queues={
            name: settings.queue(rpc.rule.start.queue) for name, rpc in contract.by_type.items()
        },
        results={name: rpc.result for name, rpc in contract.by_type.items() if rpc.result},
    )
