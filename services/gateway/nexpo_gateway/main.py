"""What the gateway is made of, as a service."""

from __future__ import annotations

import nexpo_gateway.processes
from nexpo_runtime.service.shutdown import StopSignal
from nexpo_runtime.telemetry import logs
from nexpo_runtime.worker.completeness import check_complete, queue_of
from nexpo_runtime.worker.discovery import discover
from nexpo_runtime.worker.invocation import Service
from nexpo_runtime.worker.probe import PROBE

from .calls.reads import check_reachable
from .engines import QUEUE
from .processes.mail.activities import Notifications
from .server import running_gateway
from .settings import GatewaySettings

_log = logs.get(__name__)


async def main(settings: GatewaySettings) -> None:
    """Runs the gateway until SIGTERM or SIGINT, then drains and returns."""
    workflows = discover(nexpo_gateway.processes)
    services: list[Service] = [Notifications(settings.mail, settings.service_keys[0])]
    check_complete(queue_of(QUEUE), services, workflows, runtime=PROBE)
    check_reachable(settings.workers)
    with StopSignal() as stop:
        async with running_gateway(
            settings,
            workflows=workflows,
            services=services,
            providers={"mail": settings.mail_state()},
        ):
            await stop.wait()
    _log.info("stopped", service=settings.service)
