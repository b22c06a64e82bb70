"""The end of a gateway: what is under way finishes, nothing new begins, and it does not last."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nexpo_gateway.server import running_gateway

from .clients import Gateway, Refused
from .conftest import PARCELS, eventually
from .in_process import Finding, in_process, worker


class Ending:
    """A gateway with two calls under way, one on each surface, that is told to end."""

    def __init__(self, gateway: Gateway, service: Finding, told: asyncio.Event) -> None:
        self.gateway = gateway
        self.service = service
        self.grpc = asyncio.create_task(gateway.parcel("FindParcels", depot="held"))
        self.rest = asyncio.create_task(gateway.rest("GET", "/v1/parcels?depot=held"))
        self._told = told

    async def begin(self) -> None:
        """Returns once the gateway takes no new calls."""
        await eventually(lambda: self.service.held == 2)
        self._told.set()
        await eventually(self._refused)

    async def _refused(self) -> bool:
        try:
            await self.gateway.parcel("FindParcels", _timeout=2)
        except Refused:
            return True
        return False


@contextlib.asynccontextmanager
async def ending(
    keys_file: Path, seconds: float
) -> AsyncIterator[tuple[Ending, asyncio.Task[None]]]:
    """Calls under way, and the gateway's task, which ends with the gateway."""
    service, told, listening = Finding(), asyncio.Event(), asyncio.Event()
    ports: list[int] = []

    async def gateway_until_told(address: str) -> None:
        settings = in_process(keys_file, db_worker_address=address, shutdown_timeout=seconds)
        async with running_gateway(settings, **PARCELS) as started:
            await eventually(lambda: started.health.ready)
            ports.extend([started.grpc_port, started.http_port])
            listening.set()
            await told.wait()

    async with worker(service, keys_file) as address:
        running = asyncio.create_task(gateway_until_told(address))
        await listening.wait()
        async with Gateway(*ports) as gateway:
            yield Ending(gateway, service, told), running


async def test_calls_under_way_are_answered_before_a_gateway_ends(keys_file: Path) -> None:
    async with ending(keys_file, seconds=10) as (calls, gateway):
        await calls.begin()
        assert not calls.grpc.done()
        assert not calls.rest.done()
        calls.service.may_answer.set()
        assert (await calls.grpc).tenant == "acme"
        assert (await calls.rest)["tenant"] == "acme"
        began = time.monotonic()
        await gateway
        assert time.monotonic() - began < 5, "with nothing left it ends at once"


async def test_a_call_that_does_not_end_keeps_a_gateway_no_longer_than_its_time_out(
    keys_file: Path,
) -> None:
    async with ending(keys_file, seconds=0.3) as (calls, gateway):
        began = time.monotonic()
        await calls.begin()
        await gateway
        assert 0.2 < time.monotonic() - began < 1.9, "sooner than the calls' own limit"
        with pytest.raises(Refused):
            await calls.grpc
        with pytest.raises(Refused) as cut:
            await calls.rest
        assert (cut.value.status, cut.value.reason) == (503, "SHUTTING_DOWN")
