"""An asyncio event loop whose clock jumps to the next timer instead of waiting.

A day's wait takes microseconds and every run with the same inputs takes the same
course: the base of the deterministic simulation and of time-skipping tests of
workflows in process. The loop does no input or output.
"""

from __future__ import annotations

import asyncio
import selectors
from datetime import UTC, datetime, timedelta


class Deadlock(RuntimeError):
    """Every task waits for something that no timer will bring."""


class _Clock(selectors.SelectSelector):
    """Where the loop would wait for sockets, time passes instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nothing is left to happen, and a task still waits")
        if timeout > 0:
            # A step that a float of this size cannot hold would leave the clock where it is.
            self.seconds += max(timeout, 1e-6)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Run with `asyncio.Runner(loop_factory=VirtualTimeLoop)`.

    Args:
        start: What the clock shows at first, UTC.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._virtual_clock = _Clock()
        self._virtual_start = start
        super().__init__(self._virtual_clock)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_clock.seconds

    def now(self) -> datetime:
        """The virtual time of day, UTC, whole microseconds."""
        return self._virtual_start + timedelta(microseconds=round(self.time() * 1e6))
