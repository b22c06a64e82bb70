"""Polls one task queue, for as long as the service lives, whatever Temporal does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

from ..failures import worker_unavailable
from ..service.health import Health
from ..settings import Settings
from ..telemetry import logs
from ..telemetry.metrics import POLLING
from ..temporal.connection import TemporalLink, why
from ..tenant import Signer
from ..workflow.temporal_engine import use_temporal
from .activity_interceptor import ActivityInterceptor, activities_of
from .invocation import Service

_log = logs.get(__name__)

_STICKY_TIMEOUT = timedelta(seconds=2)
"""How long a task waits for the worker that has the workflow cached; a dead
worker's workflows continue elsewhere after it."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
_REPORT_GRACE = 5.0
"""Seconds to report what was finished, or cancelled, at the very end of the drain."""


class QueuePoller:
    """A Temporal worker that comes back by itself.

    Args:
        settings: Limits and time-outs.
        link: To Temporal.
        queue: The contract's name of the task queue.
        workflows: Classes made by `@operation`.
        services: Their activities are served, whatever queue their contract names.

    Attributes:
        link: To Temporal.
        queue: As Temporal knows it.
    """

    def __init__(
        self,
        settings: Settings,
        link: TemporalLink,
        *,
        queue: str,
        workflows: Sequence[type] = (),
        services: Iterable[Service] = (),
    ) -> None:
        self._settings = settings
        self.link = link
        self.queue = settings.queue(queue)
        self._workflows = workflows
        self._activities = activities_of(services)
        self._stop = asyncio.Event()
        self._worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None
        use_temporal(
            settings.time_scale,
            settings.temporal_task_queue,
            timedelta(seconds=settings.task_after),
        )

    @property
    def polling(self) -> bool:
        """Whether tasks are taken from the queue."""
        return self._worker is not None and self._worker.is_running and self.link.up

    async def check(self) -> None:
        """For health. Raises: Fault: WORKER_UNAVAILABLE: The queue is not polled."""
        if not self.polling:
            raise worker_unavailable(self.queue)

    def start(self) -> None:
        """Begins to poll in the background, until `drain`."""
        self._running = asyncio.create_task(self.run())

    async def drain(self) -> None:
        """Takes no more tasks, and waits for those it took: bounded, whatever Temporal does."""
        self.stop()
        if self._running is not None:
            # A Temporal that hangs must not keep the process.
            await asyncio.wait(
                {self._running}, timeout=self._settings.shutdown_timeout + _REPORT_GRACE
            )

    async def run(self) -> None:
        """Polls until `stop`; then lets what it took finish, within SHUTDOWN_TIMEOUT."""
        pause = _FIRST_PAUSE
        while client := await self._client():
            try:
                self._worker = self._make(client)
                await self._poll(self._worker)
            except Exception as error:  # whatever it is, polling again is the only cure
                _log.error("polling broke off", queue=self.queue, why=why(error))
                await self._wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                # A client refuses a second worker for the queue as long as it knows the first.
                self.link.renew()
            finally:
                self._worker = None
                POLLING.labels(self.queue).set(0)

    def stop(self) -> None:
        """Takes no more tasks; `run` returns when those it took are done."""
        self._stop.set()

    async def _client(self) -> Client | None:
        """The client when Temporal answers; None when told to stop first."""
        if self._stop.is_set():
            return None
        connecting = asyncio.create_task(self.link.client())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((connecting, stopping), return_when=asyncio.FIRST_COMPLETED)
            return connecting.result() if not self._stop.is_set() else None
        finally:
            connecting.cancel()
            stopping.cancel()

    async def _poll(self, worker: Worker) -> None:
        running = asyncio.create_task(worker.run())
        stopping = asyncio.create_task(self._stop.wait())
        POLLING.labels(self.queue).set(1)
        _log.info(
            "polling",
            queue=self.queue,
            workflows=len(self._workflows),
            activities=len(self._activities),
        )
        try:
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await worker.shutdown()
            await running
        finally:
            stopping.cancel()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    def _make(self, client: Client) -> Worker:
        settings = self._settings
        return Worker(
            client,
            task_queue=self.queue,
            workflows=self._workflows,
            activities=self._activities,
            # The sandbox costs a third of a worker's CPU, and guards only modules that it loads
            # anew for every run, which costs a second; ours are guarded by a rule of the linter.
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[ActivityInterceptor(Signer(settings.service_keys))],
            max_concurrent_activities=settings.temporal_max_concurrent_activities,
            max_concurrent_workflow_tasks=settings.temporal_max_concurrent_workflows,
            max_cached_workflows=settings.max_cached_workflows,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            sticky_queue_schedule_to_start_timeout=_STICKY_TIMEOUT,
            graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_timeout),
            max_heartbeat_throttle_interval=timedelta(seconds=5),
            default_heartbeat_throttle_interval=timedelta(seconds=1),
            build_id=settings.service,
        )


@contextlib.asynccontextmanager
async def linked(
    settings: Settings,
    health: Health,
    *,
    queue: str,
    workflows: Sequence[type],
    services: Iterable[Service],
) -> AsyncIterator[QueuePoller]:
    """A poller with a link of its own, and their health checks; it is not started yet."""
    async with TemporalLink(settings) as link:
        poller = QueuePoller(settings, link, queue=queue, workflows=workflows, services=services)
        health.add("temporal", link.check)
        health.add("polling", poller.check)
        yield poller
