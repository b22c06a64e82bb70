"""A thousand watchers on one gateway: what they cost at rest, and how soon they hear."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc.aio
from google.longrunning import operations_pb2

from nexpo.client import Caller, OperationHandle
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_dev.service import Service

from .bars import Bar
from .echo.contract import PACKAGE, kind
from .measure import Meter, drive, percentile
from .rig import fresh_rig

_HOLD = f"/{PACKAGE}.BenchService/Hold"
_MOVE = f"/{PACKAGE}.BenchService/Move"
_CHANNELS = 10
_PATIENCE = 30.0


@dataclass(frozen=True)
class Load:
    """How much to watch.

    Attributes:
        watchers: Streams, each of an operation of its own: no two share a poll.
        idle_seconds: How long nothing happens; longer than one long poll of the server.
        moves: Changes, one after the other, to operations in turn.
        moves_a_second: How fast they come.
    """

    watchers: int = 1000
    idle_seconds: float = 30.0
    moves: int = 500
    moves_a_second: float = 25.0


@dataclass
class _Stream:
    """One watched operation.

    Attributes:
        name: The operation's.
        seen: The number of moves that the latest frame showed; -1 before the first.
        sent: When each move was sent, by its number.
        delays_ms: From sending a move to the frame that shows it.
    """

    name: str
    seen: int = -1
    sent: dict[int, float] = field(default_factory=dict)
    delays_ms: list[float] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, caller: Caller) -> None:
        """Watches until it is cancelled."""
        handle = OperationHandle(caller, self.name, kind("HoldResponse"))
        async for progress in handle.watch():
            if progress.state != Progress.WAITING:
                continue
            now = time.perf_counter()
            number = int(progress.message)
            # A frame may show several moves at once: the latest is what counts.
            for move in range(self.seen + 1, number + 1):
                if move in self.sent:
                    self.delays_ms.append((now - self.sent.pop(move)) * 1000)
            self.seen = number
            self.heard.set()

    async def quiet(self) -> None:
        """Returns when every move that was sent has been heard."""
        while self.sent:
            self.heard.clear()
            await self.heard.wait()


async def measure(load: Load) -> tuple[list[Bar], dict[str, object]]:
    """Watches; returns the bars and the raw figures."""
    async with fresh_rig() as rig:
        gateway = rig.module("gateway", "bench.echo.gateway")
        async with rig.running(gateway) as pids, _callers(gateway, rig.api_key) as callers:
            streams = await _held(callers, load.watchers)
            async with asyncio.TaskGroup() as group:
                watching = [
                    group.create_task(stream.follow(callers[index % _CHANNELS]))
                    for index, stream in enumerate(streams)
                ]
                await _all_seen(streams)
                meter, began = Meter(pids), time.perf_counter()
                await asyncio.sleep(load.idle_seconds)
                idle = {
                    name: 100 * used / (time.perf_counter() - began)
                    for name, used in meter.since().items()
                }
                await _move(callers[0], streams, load)
                for task in watching:
                    task.cancel()
    delays = sorted(delay for stream in streams for delay in stream.delays_ms)
    raw: dict[str, object] = {
        "load": load.__dict__,
        "idle_percent_of_a_core": {name: round(value, 2) for name, value in idle.items()},
        "delivered": len(delays),
        "delays_ms": [round(delay, 2) for delay in delays],
    }
    return _bars(load, delays, idle), raw


@contextlib.asynccontextmanager
async def _callers(gateway: Service, api_key: str) -> AsyncIterator[Sequence[Caller]]:
    metadata = [("authorization", f"Bearer {api_key}")]
    # A channel's connection carries a hundred streams at once without queueing.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [
        grpc.aio.insecure_channel(gateway.grpc_address, options=options) for _ in range(_CHANNELS)
    ]
    try:
        yield [Caller(channel, metadata) for channel in channels]
    finally:
        for channel in channels:
            await channel.close()


async def _held(callers: Sequence[Caller], count: int) -> list[_Stream]:
    """Starts operations that wait."""
    streams: list[_Stream] = []

    async def start(number: int) -> None:
        request = kind("HoldRequest")(request_id=uuid.uuid4().hex)
        caller = callers[number % _CHANNELS]
        operation = await caller.unary(_HOLD, request, operations_pb2.Operation, 60)
        streams.append(_Stream(operation.name))

    await drive(start, count, 24, {})
    return streams


async def _all_seen(streams: Sequence[_Stream]) -> None:
    async with asyncio.timeout(120):
        for stream in streams:
            await stream.heard.wait()
    await asyncio.sleep(1)


async def _move(caller: Caller, streams: Sequence[_Stream], load: Load) -> None:
    """Moves operations in turn; returns when all was heard or will not be."""
    begun = time.perf_counter()
    calls = []
    counts: dict[str, int] = {}
    for number in range(load.moves):
        await asyncio.sleep(begun + number / load.moves_a_second - time.perf_counter())
        stream = streams[number % len(streams)]
        counts[stream.name] = counts.get(stream.name, 0) + 1
        stream.sent[counts[stream.name]] = time.perf_counter()
        request = kind("MoveRequest")(operation=stream.name)
        calls.append(
            asyncio.create_task(caller.unary(_MOVE, request, kind("MoveResponse"), _PATIENCE))
        )
    await asyncio.gather(*calls)
    with contextlib.suppress(TimeoutError):  # what was not heard by then is missing in the count
        async with asyncio.timeout(_PATIENCE):
            for stream in streams:
                await stream.quiet()


def _bars(load: Load, delays: list[float], idle: dict[str, float]) -> list[Bar]:
    watched = f"{load.watchers} watch streams"
    return [
        Bar(f"{watched}: changes delivered", len(delays), load.moves, "at least"),
        Bar(
            f"{watched}: from sending a change to its frame, p95",
            percentile(delays, 95),
            500,
            "at most",
            " ms",
            f"p50 {percentile(delays, 50):.0f} ms; with the signal and the workflow task in it",
        ),
        Bar(
            f"{watched}: the gateway's CPU while nothing happens",
            idle["gateway"],
            5,
            "at most",
            " % of a core",
            f"the server's {idle['server']:.1f} %; the gateway runs the operations, too",
        ),
    ]
