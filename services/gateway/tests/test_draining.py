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

SECONDS = 40.0
"""That a gateway may take for its end: a call takes less, and its own limit is longer."""


class Ending:
    """A gateway with a call under way on one surface, that is told to end."""

    def __init__(
        self, gateway: Gateway, service: Finding, told: asyncio.Event, surface: str
    ) -> None:
        self.gateway = gateway
        self.service = service
        self.call = asyncio.create_task(
            gateway.rest("GET", "/v1/parcels?depot=held")
            if surface == "rest"
            else gateway.parcel("FindParcels", depot="held")
        )
        self._told = told

    async def begin(self) -> None:
        """Returns once the gateway takes no new calls."""
        await eventually(lambda: self.service.held == 1)
        self._told.set()
        await eventually(self._refused)

    async def _refused(self) -> bool:
        try:
            await self.gateway.parcel("FindParcels")
            await self.gateway.rest("GET", "/v1/parcels")
        except (Refused, OSError, asyncio.IncompleteReadError):
            return True
        return False


@contextlib.asynccontextmanager
async def ending(
    keys_file: Path, seconds: float, surface: str
) -> AsyncIterator[tuple[Ending, asyncio.Task[None]]]:
    """A call under way, and the gateway's task, which ends with the gateway."""
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
        async with Gateway(ports[0], ports[1]) as gateway:
            yield Ending(gateway, service, told, surface), running


@pytest.mark.parametrize("surface", ["grpc", "rest"])
async def test_a_call_under_way_is_answered_before_a_gateway_ends(
    keys_file: Path, surface: str
) -> None:
    async with ending(keys_file, SECONDS, surface) as (calls, gateway):
        await calls.begin()
        await asyncio.wait({calls.call}, timeout=0.2)
        assert not calls.call.done(), "nothing cut it"
        calls.service.may_answer.set()
        answer = await calls.call
        assert (answer["tenant"] if surface == "rest" else answer.tenant) == "acme"
        began = time.monotonic()
        await gateway
        assert time.monotonic() - began < SECONDS / 2, "with nothing left it ends at once"


@pytest.mark.parametrize("surface", ["grpc", "rest"])
async def test_a_call_that_does_not_end_keeps_a_gateway_no_longer_than_its_time_out(
    keys_file: Path, surface: str
) -> None:
    async with ending(keys_file, 0.3, surface) as (calls, gateway):
        began = time.monotonic()
        await calls.begin()
        await gateway
        assert 0.2 < time.monotonic() - began < 30, "sooner than the call's own limit"
        with pytest.raises(Refused) as cut:
            await calls.call
        if surface == "rest":
            assert (cut.value.status, cut.value.reason) == (503, "SHUTTING_DOWN")
