"""An asyncio event loop whose clock jumps to the next timer instead of waiting.

A day's wait takes microseconds and every run with the same inputs takes the same
course: the base of the deterministic simulation and of time-skipping tests of
workflows in process. The loop does no input or output. What never ends, by waiting
for ever or by trying again for ever, is stopped and said.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import sys
from datetime import UTC, datetime, timedelta


class Stuck(RuntimeError):
    """What the loop runs will not end."""


class Deadlock(Stuck):
    """Every task waits for something that no timer will bring."""


class Endless(Stuck):
    """The time or the turns that were allowed are used up."""


class _Clock(selectors.SelectSelector):
    """Where the loop would wait for sockets, time passes instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.turns = 0
        self.last_second = math.inf
        self.last_turn = sys.maxsize

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        if self.turns > self.last_turn:
            raise Endless("all allowed turns of the loop are used up")
        if timeout is None:
            raise Deadlock("nothing is left to happen, and a task still waits")
        if timeout > 0:
            # A step that a float of this size cannot hold would leave the clock where it is.
            self.seconds += max(timeout, 1e-6)
            if self.seconds > self.last_second:
                raise Endless("all allowed time is over")
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Run with `asyncio.Runner(loop_factory=VirtualTimeLoop)`.

    Args:
        start: What the clock shows at first, UTC.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._virtual_clock = _Clock()
        self._virtual_start = start
        self._virtual_now = (0.0, start)
        super().__init__(self._virtual_clock)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_clock.seconds

    def now(self) -> datetime:
        """The virtual time of day, UTC, whole microseconds."""
        seconds = self._virtual_clock.seconds
        if self._virtual_now[0] != seconds:  # Asked many times between two jumps of the clock.
            moment = self._virtual_start + timedelta(microseconds=round(seconds * 1e6))
            self._virtual_now = (seconds, moment)
        return self._virtual_now[1]

    def allow(self, duration: timedelta, turns: int) -> None:
        """Bounds what happens from now on; beyond it the loop raises Endless.

        Args:
            duration: Virtual time.
            turns: Of the loop: what tries again at once, for ever, needs no time.
        """
        clock = self._virtual_clock
        clock.last_second = clock.seconds + duration.total_seconds()
        clock.last_turn = clock.turns + turns
