"""How long an event loop is held up, in CPU time: a busy machine changes nothing about that."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Pauses:
    """What was measured: the longest time between two turns of the loop, in seconds."""

    longest: float = 0.0


@contextlib.contextmanager
def measured_pauses() -> Iterator[Pauses]:
    """Measures inside the block.

    A task of the loop asks for the next turn at once, again and again. What the
    process used of the CPU from one turn to the next is how long everything else
    would have had to wait on a machine of its own: work in the loop, and work in a
    thread that does not give the interpreter back. Time in which other processes
    ran is not in it.
    """
    pauses = Pauses()

    async def tick() -> None:
        before = time.process_time()
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            pauses.longest = max(pauses.longest, now - before)
            before = now

    # What the tests themselves have made is not the gateway's to collect.
    gc.collect()
    gc.freeze()
    ticking = asyncio.ensure_future(tick())
    try:
        yield pauses
    finally:
        ticking.cancel()
        gc.unfreeze()
