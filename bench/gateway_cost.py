"""What the gateway costs over the bare SDK's client, and the house over the bare SDK."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.longrunning import operations_pb2
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy

from nexpo.client import Caller, result_of
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.settings import Settings
from nexpo_runtime.telemetry import tracing
from nexpo_runtime.temporal.connection import connect
from nexpo_runtime.tenant import acting_for
from nexpo_runtime.workflow.temporal_engine import PROGRESS_MEMO, STATE_ATTRIBUTE, TENANT_ATTRIBUTE

from .bare.echo import BARE_QUEUE, BARE_TYPE
from .bare.polling import bare_client
from .bars import TOLERANCE, Bar, Figure, Measurement
from .echo.contract import PACKAGE, QUEUE, kind, text_of
from .echo.gateway import HOSTS
from .measure import Batch, Call, drive
from .pairs import Pairs, Steps, side_by_side, typical, typical_cpu
from .rig import TENANT, Rig, fresh_rig, gateway_caller

_ECHO = f"/{PACKAGE}.BenchService/Echo"
_TYPE = f"{PACKAGE}.Echo"
_LEAST = "start without progress and search attributes"
_WARM_UP = 30
_PIECES = 10
_FREE_MS = 0.3
"""What a call through the gateway may take beside its share of the bare call."""
_ATTRIBUTES = TypedSearchAttributes(
    [
        SearchAttributePair(STATE_ATTRIBUTE, Progress.State.Name(Progress.RUNNING)),
        SearchAttributePair(TENANT_ATTRIBUTE, TENANT),
    ]
)
_TEXT = "the quick brown fox " * 5


@dataclass(frozen=True)
class Load:
    """How much to measure.

    Attributes:
        starts: Operations that are started and left alone.
        waits: Operations that are started and waited for.
        sequential: Operations one after the other.
        at_once: How many of the first two are under way together.
    """

    starts: int = 1600
    waits: int = 400
    sequential: int = 200
    at_once: int = 24


async def measure(pairs: int, load: Load) -> tuple[list[Figure], dict[str, object]]:
    """Runs the pairs; returns bars, measurements and the raw figures."""

    found = await side_by_side(pairs, lambda: _ours(load), lambda: _bare(load))
    least = found.pop(_LEAST).bare
    raw: dict[str, object] = {phase: both.as_dict() for phase, both in found.items()}
    raw[_LEAST] = [batch.as_dict() for batch in least]
    raw["load"] = {**load.__dict__, "text_bytes": len(_TEXT)}
    return [*_bars(found), _shown_costs(found["start"].bare, least)], raw


async def _ours(load: Load) -> Steps:
    async with fresh_rig() as rig:
        gateway = rig.module("gateway", "bench.echo.gateway")
        async with (
            rig.running(gateway) as pids,
            gateway_caller(gateway, rig.api_key, prefer="wait=60") as caller,
        ):
            wait = _through_gateway(caller, waits=True)
            await drive(wait, _WARM_UP, 8, {})
            async for piece in _pieces("sequential", wait, load.sequential, 1, pids):
                yield piece
            async for piece in _pieces("start and wait", wait, load.waits, load.at_once, pids):
                yield piece
        # Where nobody runs the workflows, the start alone is measured.
        gateway.settings = {**rig.settings, HOSTS: "no"}
        async with rig.running(gateway) as pids, gateway_caller(gateway, rig.api_key) as caller:
            start = _through_gateway(caller)
            await drive(start, _WARM_UP, 8, {})
            async for piece in _pieces("start", start, load.starts, load.at_once, pids):
                yield piece


async def _bare(load: Load) -> Steps:
    async with fresh_rig() as rig:
        plain = rig.plain("worker", "bench.bare.echo")
        async with rig.running(plain) as pids:
            client = await bare_client(rig.temporal.url, rig.settings["ENCRYPTION_KEYS"])
            call = _through_sdk(client, BARE_TYPE, BARE_QUEUE, waits=True)
            await drive(call, _WARM_UP, 8, {})
            async for piece in _pieces("sequential", call, load.sequential, 1, pids):
                yield piece
        # The same workflow, run by the same runtime, and the same start as in the other arm.
        worker = rig.module("worker", "bench.echo.worker")
        async with rig.running(worker) as pids:
            ours = await connect(_settings(rig))
            wait = _through_sdk(ours, _TYPE, QUEUE, waits=True, like_ours=True)
            start = _through_sdk(ours, _TYPE, QUEUE, like_ours=True)
            await drive(wait, _WARM_UP, 8, {})
            async for piece in _pieces("start and wait", wait, load.waits, load.at_once, pids):
                yield piece
            await worker.stop()
            del pids["worker"]
            await drive(start, _WARM_UP, 8, {})
            async for piece in _pieces("start", start, load.starts, load.at_once, pids):
                yield piece
            least = _through_sdk(ours, _TYPE, QUEUE)
            yield _LEAST, await drive(least, load.starts // 2, load.at_once, pids)


async def _pieces(
    phase: str, call: Call, calls: int, at_once: int, pids: Mapping[str, int]
) -> Steps:
    for _ in range(_PIECES):
        yield phase, await drive(call, -(-calls // _PIECES), at_once, pids)


def _settings(rig: Rig) -> Settings:
    settings = Settings.load(
        environment="test",
        temporal_address=rig.temporal.url,
        encryption_keys=rig.settings["ENCRYPTION_KEYS"],
        service_key=rig.settings["SERVICE_KEY"],
    )
    tracing.configure(settings)
    return settings


def _through_gateway(caller: Caller, waits: bool = False) -> Call:
    async def call(number: int) -> None:
        request = kind("EchoRequest")(text=_TEXT, request_id=uuid.uuid4().hex)
        operation = await caller.unary(_ECHO, request, operations_pb2.Operation, 60)
        if waits:
            _check(text_of(result_of(operation, kind("EchoResponse"))))

    return call


def _through_sdk(
    client: Client, workflow: str, queue: str, *, waits: bool = False, like_ours: bool = False
) -> Call:
    """Starts by the SDK's client.

    Args:
        client: It.
        workflow: Type to start.
        queue: Where.
        waits: Whether to wait for the result.
        like_ours: Whether to start as the gateway does: with what Get, Watch and List show.
    """

    async def call(number: int) -> None:
        request_id = uuid.uuid4().hex
        with acting_for(TENANT):
            handle = await client.start_workflow(
                workflow,
                kind("EchoRequest")(text=_TEXT, request_id=request_id),
                id=f"{TENANT}/{request_id}",
                task_queue=queue,
                result_type=kind("EchoResponse"),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                memo={PROGRESS_MEMO: _progress(workflow, request_id)} if like_ours else None,
                search_attributes=_ATTRIBUTES if like_ours else None,
            )
        if waits:
            _check(text_of(await handle.result()))

    return call


def _progress(workflow: str, request_id: str) -> Progress:
    progress = Progress(state=Progress.RUNNING, type=workflow, durable=True, request_id=request_id)
    progress.create_time.GetCurrentTime()
    progress.update_time.CopyFrom(progress.create_time)
    return progress


def _check(answer: str) -> None:
    if answer != _TEXT:
        raise RuntimeError("the answer is not what was sent")


def _bars(found: dict[str, Pairs]) -> list[Bar]:
    bars: list[Bar] = []
    for phase in ("start", "start and wait"):
        both = found[phase]
        rate = both.ratio(lambda batch: batch.rate)
        bars += [
            Bar(
                f"gateway, {phase}: CPU of everything but {_FREE_MS} ms a call, over bare",
                both.ratio(_cpu, less=_FREE_MS),
                1.15,
                "at most",
                note=f"median of the pairs; server included; {typical(both.ours, _cpu):.2f} ms"
                f" ({_shown(typical_cpu(both.ours))}), bare {typical(both.bare, _cpu):.2f} ms"
                f" ({_shown(typical_cpu(both.bare))})",
            ),
            Bar(
                f"gateway, {phase}: throughput over bare",
                rate,
                0.90 - TOLERANCE,
                "at least",
                note="0.90 with a tolerance of 0.05",
            ),
        ]
    times = found["sequential"].ratio(lambda batch: batch.percentile(50))
    name = "one-activity operation through the gateway, sequential: time over bare"
    return [*bars, Bar(name, times, 1.2, "at most", note="ratio of the medians of each pair")]


def _shown_costs(bare: Sequence[Batch], least: Sequence[Batch]) -> Measurement:
    return Measurement(
        "bare start without the progress and search attributes that Get, Watch and List show",
        typical(least, _cpu),
        " ms",
        f"CPU of a start; {typical(bare, _cpu):.2f} ms with them, as in both arms",
    )


def _cpu(batch: Batch) -> float:
    return batch.total_cpu_ms


def _shown(cpu: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in cpu.items())
