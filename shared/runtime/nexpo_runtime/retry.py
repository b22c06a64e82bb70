"""The figures of the named retry behaviours, the same on every engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from nexpo.contract import Retry


@dataclass(frozen=True, slots=True)
class RetryFigures:
    """How a failed attempt is followed by another one.

    Attributes:
        first_pause: Before the second attempt; doubles from attempt to attempt.
        longest_pause: No pause is longer.
        attempts: How many in all; 0 is without limit.
    """

    first_pause: timedelta
    longest_pause: timedelta
    attempts: int

    def pause(self, attempt: int) -> timedelta:
        """How long to wait after the attempt of that number, from 1."""
        doublings = min(attempt - 1, 30)
        return min(self.first_pause * float(2**doublings), self.longest_pause)

    def scaled(self, factor: float) -> RetryFigures:
        """The same with every pause multiplied."""
        return RetryFigures(self.first_pause * factor, self.longest_pause * factor, self.attempts)


FIGURES = {
    Retry.STANDARD: RetryFigures(timedelta(milliseconds=200), timedelta(seconds=10), 8),
    Retry.FOREVER: RetryFigures(timedelta(milliseconds=200), timedelta(seconds=30), 0),
    # Its attempts outlast a month: whoever waits for it says how long.
    Retry.PATIENT: RetryFigures(timedelta(milliseconds=200), timedelta(minutes=5), 10_000),
    Retry.NONE: RetryFigures(timedelta(milliseconds=200), timedelta(seconds=10), 1),
}
