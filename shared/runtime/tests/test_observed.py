"""What operators see of a call: its metric, and one trace in logs and on the wire."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from prometheus_client import REGISTRY

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import ProbeRequest, ProbeResponse
from nexpo_runtime.errors import Fault
from nexpo_runtime.telemetry import tracing
from nexpo_runtime.worker.activity import ActivityContext
from nexpo_runtime.worker.invocation import invoke

from .sample import SampleService
from .test_logs import lines_of
from .test_serving import READ, call, clients, plain, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


async def observed(error: BaseException | None) -> dict[tuple[str, str], float]:
    """What an attempt that ends so adds to the metric, by outcome and reason."""
    name = f"sample.v1.{id(error)}"

    async def attempt(request: Any) -> ProbeResponse:
        await asyncio.sleep(0.02)
        if error is not None:
            raise error
        return ProbeResponse()

    with contextlib.suppress(Fault, asyncio.CancelledError):
        await invoke(attempt, name, ProbeRequest(), ActivityContext("acme", "w", 1))
    return {
        (sample.labels["outcome"], sample.labels["reason"]): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.labels.get("method") == name and sample.name == "nexpo_activity_seconds_count"
    }


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (None, "ok", ""),
        (Fault(Reason.REASON_STORE_UNAVAILABLE), "fault", "STORE_UNAVAILABLE"),
        (RuntimeError("a bug"), "fault", "INTERNAL"),
        (TimeoutError(), "fault", "DEADLINE_EXCEEDED"),
        (asyncio.CancelledError(), "cancelled", ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
async def test_an_attempts_metric_says_how_it_ended(
    error: BaseException | None, outcome: str, reason: str
) -> None:
    assert await observed(error) == {(outcome, reason): 1.0}


@pytest.mark.parametrize("ids_only", [False, True])
async def test_a_call_of_a_worker_carries_the_trace(
    monkeypatch: pytest.MonkeyPatch, ids_only: bool
) -> None:
    monkeypatch.setattr(tracing, "_ids_only", ids_only)
    service, seen = SampleService(), []

    async def read(request: ProbeRequest) -> ProbeResponse:
        seen.append(tracing.trace_id())
        return ProbeResponse()

    service.read = read  # type: ignore[method-assign]  # it looks at its trace
    settings = plain()
    async with serving(settings, service) as server, clients(settings, server.port) as workers:
        with tracing.span("call", parent=tracing.incoming(PARENT)):
            await call(workers, READ)
    assert seen == [TRACE]


def test_without_a_collector_all_lines_of_a_call_have_its_trace() -> None:
    *same, inner, after, one, other = lines_of(
        f"""
        with tracing.span("a", parent=tracing.incoming({PARENT!r})):
            log.info("first")
            log.info("second")
            with tracing.span("b"):
                log.info("inner")
        log.info("after")
        for number in range(2):
            with tracing.span("a", parent=tracing.incoming({{}})):
                log.info("a call that brings no trace")
        """
    )
    assert [line["trace_id"] for line in (*same, inner)] == [TRACE] * 3
    assert same[0]["span_id"] == same[1]["span_id"] != inner["span_id"]
    assert "trace_id" not in after
    assert len({TRACE, one["trace_id"], other["trace_id"]}) == 3
