"""Calls of Temporal that never hang: bounded in time, and given up when Temporal goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import fault_from, temporal_unavailable
from nexpo_runtime.temporal.connection import TemporalLink

T = TypeVar("T")

PROMPT = 3.0
"""Seconds; a call that needs no worker takes milliseconds, so after this Temporal hangs."""

# A call that needs no worker and takes longer than this makes us ask whether Temporal
# is still there: the SDK itself goes on trying for ten seconds.
_SUSPICIOUS = 0.25


class TemporalCalls:
    """Makes calls through the link to Temporal."""

    def __init__(self, link: TemporalLink) -> None:
        self._link = link

    def client(self) -> Client:
        """The connected client. Raises: Fault: TEMPORAL_UNAVAILABLE, at once."""
        return self._link.require()

    async def prompt(self, timeout: float, call: Callable[[timedelta], Awaitable[T]]) -> T:
        """Makes a call that needs no worker.

        Args:
            timeout: Seconds that the caller has.
            call: Makes the call, given its time-out.

        Raises:
            Fault: What an error of the RPC means; TEMPORAL_UNAVAILABLE also when
                Temporal does not answer within PROMPT.
            TemporalError: What is no error of the RPC, as the call raised it.
        """
        limit = min(timeout, PROMPT)
        try:
            return await self._promptly(limit, call(timedelta(seconds=limit)))
        except (RPCError, TimeoutError) as error:
            if isinstance(error, RPCError) and _exceeds(error):
                raise Fault(
                    Reason.REASON_MESSAGE_TOO_LARGE,
                    "The request is larger than an operation's input may be.",
                ) from error
            fault = fault_from(error)
            if fault.reason == Reason.REASON_DEADLINE_EXCEEDED and limit >= PROMPT:
                self._link.suspect()
                raise temporal_unavailable() from error
            raise fault from error

    async def patient(self, timeout: float, call: Awaitable[T]) -> T:
        """Waits for a call that may take its time.

        Raises:
            TimeoutError: `timeout` seconds are over.
            Fault: TEMPORAL_UNAVAILABLE: Temporal went away meanwhile.
            Exception: As the call raised it.
        """
        # A task of its own: the SDK's waiting for an update turns a cancel into another error.
        task = asyncio.ensure_future(call)
        task.add_done_callback(_seen)
        lost: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(timeout):
                # Most calls are over by then, and pay for no second task.
                done, _ = await asyncio.wait({task}, timeout=_SUSPICIOUS)
                if not done:
                    lost = asyncio.create_task(self._link.lost())
                    await asyncio.wait({task, lost}, return_when=asyncio.FIRST_COMPLETED)
                    if not task.done():
                        raise temporal_unavailable()
                return task.result()
        finally:
            task.cancel()
            if lost is not None:
                lost.cancel()

    async def _promptly(self, limit: float, call: Awaitable[T]) -> T:
        """Awaits the call itself: nearly all are over long before anybody must watch them."""
        loop = asyncio.get_running_loop()
        watching: asyncio.Task[None] | None = None
        gone = False

        def look() -> None:
            nonlocal watching
            self._link.suspect()
            watching = asyncio.create_task(give_up())

        async def give_up() -> None:
            nonlocal gone
            await self._link.lost()
            gone = True
            scope.reschedule(loop.time())

        looking = loop.call_later(_SUSPICIOUS, look)
        try:
            async with asyncio.timeout(limit) as scope:
                return await call
        except TimeoutError:
            if gone:
                raise temporal_unavailable() from None
            raise
        finally:
            looking.cancel()
            if watching is not None:
                watching.cancel()


def _seen(task: asyncio.Future[T]) -> None:
    # Nobody waits any more for a call that was given up: its error is no news.
    if not task.cancelled():
        task.exception()


def _exceeds(error: RPCError) -> bool:
    return error.status == RPCStatusCode.INVALID_ARGUMENT and "exceeds" in error.message
