"""Health: what is checked, what it says, and the HTTP paths that show it.

/live: the event loop turns. /ready: everything that is needed answers.
/health: every check by name. /metrics: Prometheus. grpc.health.v1 follows
readiness.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import ContractError
from ..failures import fault_from
from ..telemetry import logs, metrics

_log = logs.get(__name__)

Check = Callable[[], Awaitable[object]]
"""Returns when all is well; raises when not."""

_NOT_CHECKED = "NOT_CHECKED"
_TICK = 0.5
_STALLED = 10.0
"""Seconds without a tick of the event loop after which the process is not alive."""


class Status(StrEnum):
    """State of a check, and of the service as a whole."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(slots=True)
class _Entry:
    name: str
    check: Check
    timeout: float
    required: bool
    reason: str = _NOT_CHECKED

    @property
    def ok(self) -> bool:
        return not self.reason


class Health:
    """Runs the checks in the background; answers from what they last said.

    Args:
        service: Name in the answers.
        interval: Seconds between two rounds of checks.
    """

    def __init__(self, service: str, interval: float = 1.0) -> None:
        self.service = service
        self._interval = interval
        self._entries: list[_Entry] = []
        self._listeners: list[Callable[[bool], Awaitable[None]]] = []
        self._stopping = False
        self._last_tick = time.monotonic()
        self._was_ready = False

    def add(self, name: str, check: Check, timeout: float = 2.0, required: bool = True) -> None:
        """Adds a check.

        Args:
            name: In the answers, such as "postgres".
            check: Raises when something is wrong.
            timeout: Seconds after which it counts as failed.
            required: Whether the service is not ready without it; otherwise it
                is only degraded.

        Raises:
            ContractError: Another check has the name: one would hide the other.
        """
        if any(entry.name == name for entry in self._entries):
            raise ContractError(f"Two health checks are called {name}; rename one")
        self._entries.append(_Entry(name, check, timeout, required))

    def on_change(self, listener: Callable[[bool], Awaitable[None]]) -> None:
        """Calls the listener with every change of readiness."""
        self._listeners.append(listener)

    @property
    def ready(self) -> bool:
        """Whether the service does its work: every required check passes."""
        return not self._stopping and all(e.ok for e in self._entries if e.required)

    @property
    def live(self) -> bool:
        """Whether the event loop turns."""
        return time.monotonic() - self._last_tick < _STALLED

    @property
    def status(self) -> Status:
        """OK, DEGRADED when only a part fails that is not required, or FAILING."""
        if not self.ready:
            return Status.FAILING
        return Status.OK if all(e.ok for e in self._entries) else Status.DEGRADED

    def report(self) -> dict[str, object]:
        """Everything, for /health: status, and each check with the reason of its failure."""
        return {
            "service": self.service,
            "status": self.status.value,
            "ready": self.ready,
            "checks": {
                e.name: {
                    "status": Status.OK.value if e.ok else Status.FAILING.value,
                    "required": e.required,
                    **({} if e.ok else {"reason": e.reason}),
                }
                for e in self._entries
            },
        }

    async def stopping(self) -> None:
        """Not ready from now on: the first step of a shutdown."""
        self._stopping = True
        await self._announce()

    async def refresh(self) -> None:
        """Runs every check once, all at the same time."""
        await asyncio.gather(*(self._run(entry) for entry in self._entries))
        await self._announce()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Checks in the background inside the block."""
        await self.refresh()
        tasks = [asyncio.create_task(self._rounds()), asyncio.create_task(self._ticks())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _rounds(self) -> None:
        while True:
            # What is not ready is looked at more often: someone waits for it.
            await asyncio.sleep(self._interval if self.ready else self._interval / 5)
            await self.refresh()

    async def _ticks(self) -> None:
        while True:
            self._last_tick = time.monotonic()
            await asyncio.sleep(_TICK)

    async def _run(self, entry: _Entry) -> None:
        before = entry.reason
        try:
            async with asyncio.timeout(entry.timeout):
                await entry.check()
            entry.reason = ""
        except Exception as error:
            entry.reason = fault_from(error).name
        metrics.CHECK_UP.labels(entry.name).set(entry.ok)
        if entry.reason != before:
            log = _log.info if entry.ok or before == _NOT_CHECKED else _log.warning
            log(
                "check passes" if entry.ok else "check fails", check=entry.name, reason=entry.reason
            )

    async def _announce(self) -> None:
        if self.ready == self._was_ready:
            return
        self._was_ready = self.ready
        _log.info("ready" if self.ready else "not ready", service=self.service)
        for listener in self._listeners:
            await listener(self.ready)


def routes(health: Health, sdk_metrics_port: int | None) -> Sequence[Route]:
    """Starlette routes for /live, /ready, /health and /metrics.

    Args:
        health: What to show.
        sdk_metrics_port: See telemetry.sdk_metrics_port; None without Temporal.
    """

    async def live(request: Request) -> Response:
        return _answer(health.live, {"live": health.live})

    async def ready(request: Request) -> Response:
        return _answer(health.ready, {"ready": health.ready})

    async def whole(request: Request) -> Response:
        return _answer(health.ready, health.report())

    async def measured(request: Request) -> Response:
        page = await metrics.render(sdk_metrics_port)
        return Response(page, headers={"content-type": metrics.CONTENT_TYPE})

    return [
        Route("/live", live),
        Route("/ready", ready),
        Route("/health", whole),
        Route("/metrics", measured),
    ]


def _answer(good: bool, content: dict[str, object]) -> Response:
    return JSONResponse(content, 200 if good else 503, headers={"cache-control": "no-store"})
