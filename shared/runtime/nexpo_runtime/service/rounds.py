"""Work that a service does again and again in the background, whatever happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from ..errors import Fault
from ..telemetry import logs

_log = logs.get(__name__)


@contextlib.asynccontextmanager
async def rounds(
    what: str, work: Callable[[], Awaitable[None]], every: timedelta
) -> AsyncIterator[None]:
    """Does the work once in a while inside the block.

    A round that fails is logged, and the next one comes all the same: a fault
    is the world's and will pass, a bug must not end what others wait for.

    Args:
        what: Names the work in the log.
        work: Does one round.
        every: Time between two rounds; the first comes within one of them, at a
            random moment: services that start together do not work together.
    """
    task = asyncio.create_task(_forever(what, work, every.total_seconds()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _forever(what: str, work: Callable[[], Awaitable[None]], seconds: float) -> None:
    await asyncio.sleep(random.random() * seconds)
    while True:
        try:
            await work()
        except Fault as fault:
            _log.warning("round failed; the next one comes", work=what, reason=fault.name)
        except Exception as error:
            _log.error("round failed by a bug; the next one comes", work=what, exc_info=error)
        await asyncio.sleep(seconds)
