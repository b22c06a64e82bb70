"""Rate limits: token buckets, and which of them a call meets.

A call costs its token before anything of it is read: an unknown key and a body
that cannot be read are as dear as a good call.
"""

from __future__ import annotations

import functools
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

from ..settings import GatewaySettings

# What one customer of a provider gets: whoever has it has all its addresses.
_IPV6_PREFIX = 64


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


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a gateway, in the order in which a call meets them.

    Attributes:
        arrivals: Every call of one address, before its credential is looked at.
        refusals: Calls of one address whose credential nobody issued: what guessing costs.
        public: Public calls of one address.
        credentials: Calls of one credential.
    """

    arrivals: RateLimit
    refusals: RateLimit
    public: RateLimit
    credentials: RateLimit

    @classmethod
    def of(cls, settings: GatewaySettings) -> Limits:
        """As the settings say."""
        return cls(
            arrivals=RateLimit(settings.address_rate_limit, settings.address_rate_burst),
            refusals=RateLimit(settings.public_rate_limit, settings.public_rate_burst),
            public=RateLimit(settings.public_rate_limit, settings.public_rate_burst),
            credentials=RateLimit(settings.rate_limit, settings.rate_burst),
        )


@functools.lru_cache(maxsize=1024)
def network(address: str) -> str:
    """What an address is counted by: itself, or its IPv6 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
