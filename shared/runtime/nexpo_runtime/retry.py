"""The figures of the named retry behaviours, as the contract gives them to every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from nexpo import registry
from nexpo.contract import Retry


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a failed attempt is followed by another one; the names are Temporal's.

    Attributes:
        initial_interval: The pause before the second attempt.
        backoff_coefficient: By how much each pause is longer than the one before.
        maximum_interval: No pause is longer.
        maximum_attempts: How many in all. 0 is without limit: every fault is retried.
    """

    initial_interval: timedelta
    backoff_coefficient: float
    maximum_interval: timedelta
    maximum_attempts: int

    @classmethod
    def of(cls, retry: Retry.ValueType) -> Self:
        """The contract's figures. Raises: KeyError: It gives the behaviour none."""
        figures = registry.retry_policy(retry)
        return cls(
            figures.initial_interval.ToTimedelta(),
            figures.backoff_coefficient,
            figures.maximum_interval.ToTimedelta(),
            figures.maximum_attempts,
        )

    def pause(self, attempt: int) -> timedelta:
        """How long to wait after the attempt of that number, from 1."""
        factor = self.backoff_coefficient ** min(attempt - 1, 30)
        return min(self.initial_interval * factor, self.maximum_interval)


POLICIES: Mapping[Retry.ValueType, RetryPolicy] = {
    retry: RetryPolicy.of(retry) for retry in Retry.values() if retry
}
"""Of every behaviour; a contract that leaves one without figures does not load."""
