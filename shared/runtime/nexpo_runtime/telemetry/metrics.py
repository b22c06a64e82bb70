"""Nexpo's own Prometheus metrics, and the page that shows them with the SDK's."""

from __future__ import annotations

import asyncio

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

ACTIVITY_SECONDS = Histogram(
    "nexpo_activity_seconds",
    "Attempts of activities and reads, by outcome (ok, fault, cancelled) and reason.",
    ["method", "outcome", "reason"],
    buckets=_SECONDS,
)
TEMPORAL_UP = Gauge("nexpo_temporal_up", "Whether Temporal answers (1) or not (0).")
TEMPORAL_LOST = Counter("nexpo_temporal_lost", "How often the connection to Temporal was lost.")
POLLING = Gauge("nexpo_polling", "Whether the task queue is polled (1) or not (0).", ["queue"])
UNREADABLE = Counter(
    "nexpo_unreadable_records",
    "How often a record was met that cannot be read, by where it is kept.",
    ["where"],
)
CHECK_UP = Gauge("nexpo_check_up", "Whether a health check passes (1) or not (0).", ["check"])

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SDK_TIMEOUT = 1.0


async def render(sdk_port: int | None) -> bytes:
    """The metrics of this process in Prometheus' text format.

    Args:
        sdk_port: Where on 127.0.0.1 the Temporal SDK shows its own, or None.
    """
    own = generate_latest(REGISTRY)
    if sdk_port is None:
        return own
    try:
        return own + await asyncio.wait_for(_fetch(sdk_port), _SDK_TIMEOUT)
    except (OSError, TimeoutError):
        return own


async def _fetch(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        # HTTP/1.0: the answer is not chunked and ends with the connection.
        writer.write(b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        answer = await reader.read()
    finally:
        writer.close()
    return answer.partition(b"\r\n\r\n")[2]
