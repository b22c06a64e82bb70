"""What happens when Temporal or a worker goes away, and when it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_dev import servers
from nexpo_gateway.server import running_gateway
from nexpo_gateway.settings import GatewaySettings

from .clients import Gateway, Refused, progress_of
from .conftest import PARCELS, eventually, gateway_settings, ready, running


async def refused_at_once(call: Callable[[], Awaitable[object]]) -> Refused:
    """The refusal of a call, which comes sooner than the SDK would give up."""
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        await call()
    assert time.monotonic() - began < 2.9
    return refused.value


async def test_the_gateway_starts_without_temporal_and_recovers_by_itself(
    tmp_path: Path, keys_file: Path
) -> None:
    server = servers.temporal(tmp_path / "temporal")
    began = time.monotonic()
    async with running(gateway_settings(server.url, keys_file)) as (gateway, started):
        assert time.monotonic() - began < 9
        await refuses_and_says_when_to_try_again(gateway)
        assert (await gateway.http("GET", "/live")).status == 200
        assert (await gateway.http("GET", "/ready")).status == 503
        async with server:
            await eventually(lambda: started.health.ready)
            assert (await gateway.http("GET", "/ready")).status == 200
            done = await gateway.send(plan="finish", _prefer="wait=30")
            assert done.done
            await server.kill()
            await refuses_and_says_when_to_try_again(gateway)
            await eventually(lambda: not started.health.ready)
            await server.start()
            await eventually(lambda: started.health.ready)
            assert (await gateway.send(plan="finish", _prefer="wait=15")).done


async def refuses_and_says_when_to_try_again(gateway: Gateway) -> None:
    """Whatever needs Temporal is refused alike on both surfaces."""
    missing = "operations/acme~nexpo.parcels.v1.SendParcel~x~y"
    calls: list[tuple[int, Callable[[], Awaitable[object]]]] = [
        (14, lambda: gateway.send(plan="finish")),
        (14, lambda: gateway.get(missing)),
        (14, lambda: gateway.parcel("SignParcel", operation=missing, token="t")),
        (503, lambda: gateway.rest("POST", "/v1/parcels:send", {})),
        (503, lambda: gateway.rest("GET", "/v1/operations")),
        (503, lambda: gateway.rest("GET", f"/v1/{missing}:askParcel")),
    ]
    for status, call in calls:
        refused = await refused_at_once(call)
        assert (refused.reason, refused.status) == ("TEMPORAL_UNAVAILABLE", status)
        assert refused.retry_after == 1


async def test_a_watch_goes_on_after_temporal_was_killed(tmp_path: Path, keys_file: Path) -> None:
    async with (
        servers.temporal(tmp_path / "temporal") as server,
        running(gateway_settings(server.url, keys_file)) as (gateway, started),
    ):
        await eventually(lambda: started.health.ready)
        name = (await gateway.send(plan="wait")).name
        states: list[str] = []

        async def watch() -> None:
            async for frame in gateway.watch(name):
                states.append(Progress.State.Name(progress_of(frame).state))

        watching = asyncio.create_task(watch())
        await eventually(lambda: "WAITING" in states)
        await server.kill()
        await eventually(lambda: not started.health.ready)
        await server.start()
        await eventually(lambda: started.health.ready)
        await gateway.parcel("SignParcel", operation=name, token="t", key="")
        await asyncio.wait_for(watching, 90)
        assert states[-1] == "SUCCEEDED"


async def test_a_hanging_temporal_is_told_from_a_slow_one(tmp_path: Path, keys_file: Path) -> None:
    async with (
        servers.temporal(tmp_path / "temporal") as server,
        running(gateway_settings(server.url, keys_file)) as (gateway, started),
    ):
        await eventually(lambda: started.health.ready)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(Refused) as refused:
                await gateway.send(plan="finish")
            assert refused.value.reason == "TEMPORAL_UNAVAILABLE"
            assert time.monotonic() - began < 9
            await refused_at_once(lambda: gateway.send(plan="finish"))
            await eventually(lambda: not started.health.ready)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await eventually(lambda: started.health.ready)
        assert (await gateway.send(plan="finish", _prefer="wait=30")).done


async def test_without_a_worker_an_update_says_so_within_its_deadline(
    settings: GatewaySettings,
) -> None:
    async with ready(settings) as gateway:
        name = (await gateway.send(plan="wait")).name
        async for frame in gateway.watch(name):
            if progress_of(frame).state == Progress.WAITING:
                break
    async with ready(settings, workflows=[]) as gateway:
        # The worker that is gone may look alive for a minute, so patience decides.
        # By a header: a client with a deadline of its own may give up before the answer comes.
        with pytest.raises(Refused) as refused:
            await gateway.rest("POST", f"/v1/{name}:signParcel", {"token": "t"}, grpc_timeout="3S")
        assert refused.value.reason == "WORKER_UNAVAILABLE"
        assert settings.queue("nexpo-gateway") in refused.value.message
        with pytest.raises(Refused) as refused:
            await gateway.rest("GET", f"/v1/{name}:askParcel", grpc_timeout="3S")
        assert refused.value.reason == "WORKER_UNAVAILABLE"
        # Reading needs no worker.
        assert progress_of(await gateway.get(name)).state == Progress.WAITING
        assert not (await gateway.wait(name, seconds=0.3)).done


async def test_a_shutdown_ends_watches_and_waits_with_a_reason(settings: GatewaySettings) -> None:
    waiting = asyncio.Event()

    async def watch(gateway: Gateway, name: str) -> None:
        async for frame in gateway.watch(name):
            if progress_of(frame).state == Progress.WAITING:
                waiting.set()

    async with contextlib.AsyncExitStack() as clients:
        async with running_gateway(settings, **PARCELS) as started:
            await eventually(lambda: started.health.ready)
            gateway = Gateway(started.grpc_port, started.http_port)
            await clients.enter_async_context(gateway)
            name = (await gateway.send(plan="wait")).name
            watching = asyncio.create_task(watch(gateway, name))
            waited = asyncio.create_task(gateway.wait(name, seconds=60))
            lines = asyncio.create_task(gateway.http("GET", f"/v1/{name}:watch"))
            await waiting.wait()
            began = time.monotonic()
        assert time.monotonic() - began < settings.shutdown_timeout
        for call in (watching, waited):
            with pytest.raises(Refused) as refused:
                await call
            assert refused.value.reason == "SHUTTING_DOWN"
        assert b'"reason":"SHUTTING_DOWN"' in (await lines).body


async def test_many_idle_watchers_share_one_feed_and_a_reconnect_finds_the_operation(
    gateway: Gateway,
) -> None:
    name = (await gateway.send(plan="wait")).name
    seen: list[str] = []

    async def watch(until: str) -> None:
        async for frame in gateway.watch(name):
            if Progress.State.Name(progress_of(frame).state) == until:
                seen.append(until)
                if until == "WAITING":
                    return

    await asyncio.gather(*(watch("WAITING") for _ in range(20)))
    again = [asyncio.create_task(watch("SUCCEEDED")) for _ in range(100)]
    await gateway.parcel("SignParcel", operation=name, token="t", key="")
    await asyncio.wait_for(asyncio.gather(*again), 90)
    assert seen.count("SUCCEEDED") == 100
