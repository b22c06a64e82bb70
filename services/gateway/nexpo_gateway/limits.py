"""Rate limits: a token bucket per credential, or per address where there is none."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault


class RateLimit:
    """Token buckets in bounded memory: the one unused for longest is forgotten first.

    Source: the token bucket of RFC 2697, with one rate.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allows `rate` calls a second, and `burst` at once after a pause."""
        self._rate = rate
        self._burst = burst
        self._capacity = capacity
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Takes a token of the key's bucket. Raises: Fault: RATE_LIMITED: it is empty."""
        now = self._clock()
        tokens, since = self._buckets.pop(key, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - since) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = timedelta(seconds=(1 - tokens) / self._rate)
            raise Fault(Reason.REASON_RATE_LIMITED, "Too many calls.", retry_after=wait)
