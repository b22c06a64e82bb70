"""A gateway without Temporal, and a worker for its reads: for what needs no server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

from nexpo import registry
from nexpo.contract import Method, ServiceContract
from nexpo_gateway.settings import GatewaySettings
from nexpo_runtime.telemetry import tracing
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.serving import WorkerServer

from .clients import Gateway
from .conftest import eventually, gateway_settings, running
from .parcels.contract import PACKAGE, message


class Finding:
    """The worker behind FindParcels: says whose call reached it, in which trace.

    The depot "held" is answered once the test says so.
    """

    CONTRACT: ClassVar = ServiceContract(
        name=f"{PACKAGE}.ParcelService",
        queue="nexpo-db",
        methods=(
            Method(
                f"{PACKAGE}.FindParcels",
                "find_parcels",
                registry.message_class(f"{PACKAGE}.FindParcelsRequest"),
                registry.message_class(f"{PACKAGE}.FindParcelsResponse"),
                "read",
            ),
        ),
    )

    def __init__(self) -> None:
        self.held = 0
        self.may_answer = asyncio.Event()

    async def find_parcels(self, request: Any) -> Any:
        if request.depot == "held":
            self.held += 1
            await self.may_answer.wait()
        return message(
            "FindParcelsResponse", tenant=activity.current().tenant, notes=[tracing.trace_id()]
        )


def in_process(keys_file: Path, **more: object) -> GatewaySettings:
    """Settings of a gateway that runs its operations itself."""
    return gateway_settings("127.0.0.1:1", keys_file, enable_temporal=False, **more)


@contextlib.asynccontextmanager
async def worker(service: Finding, keys_file: Path) -> AsyncIterator[str]:
    """A worker for reads, and its address."""
    server = WorkerServer(in_process(keys_file), [service])
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def gateway_in_process(keys_file: Path, **more: object) -> AsyncIterator[Gateway]:
    """The clients of a gateway that runs its operations itself and has a worker for reads."""
    async with (
        worker(Finding(), keys_file) as address,
        running(in_process(keys_file, db_worker_address=address, **more)) as (gateway, started),
    ):
        await eventually(lambda: started.health.ready)
        yield gateway
