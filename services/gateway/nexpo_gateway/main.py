"""What the gateway is made of, as a service."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import nexpo_gateway
from nexpo_runtime.worker.bootstrap import Parts, run_service

from .calls.reads import check_reachable
from .server import Started, running_gateway
from .settings import GatewaySettings


async def main(settings: GatewaySettings) -> None:
    """Runs the gateway until SIGTERM or SIGINT, then drains and returns."""
    check_reachable(settings.workers)

    def running(parts: Parts) -> AbstractAsyncContextManager[Started]:
        return running_gateway(
            settings,
            workflows=parts.workflows,
            services=parts.services,
            providers={"mail": settings.mail_state()},
        )

    await run_service(settings, nexpo_gateway, running)
