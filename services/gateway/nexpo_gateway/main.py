"""What the gateway is made of, as a service."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractAsyncContextManager

import nexpo_gateway.processes
from nexpo_runtime.worker.bootstrap import Parts, run_service
from nexpo_runtime.worker.completeness import queue_of
from nexpo_runtime.worker.process import run_worker

from .settings import GatewaySettings


async def main(settings: GatewaySettings) -> None:
    """Runs the gateway until SIGTERM or SIGINT, then drains and returns."""
    queue = queue_of(settings.service)
    if not settings.serves_edge:
        await run_worker(
            settings,
            nexpo_gateway.processes,
            providers={"mail": settings.mail_state()},
            expected=dataclasses.replace(queue, natives=()),
        )
        return
    # Here, because a process of the other role needs none of it.
    from .calls.reads import check_reachable
    from .server import Started, running_gateway

    check_reachable(settings.workers)

    def running(parts: Parts) -> AbstractAsyncContextManager[Started]:
        return running_gateway(
            settings,
            workflows=parts.workflows,
            services=parts.services,
            providers={"mail": settings.mail_state()} if settings.runs_processes else {},
        )

    if settings.runs_processes:
        await run_service(settings, nexpo_gateway, running)
    else:
        expected = dataclasses.replace(queue, services=(), workflows=())
        await run_service(settings, nexpo_gateway, running, expected=expected, skip="processes")
