"""A call as every surface hands it over: who asks, by when, with which wishes."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

LONGEST_WAIT = 300.0
"""Seconds that one call waits for an operation at most, however it asks."""

_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?(?=\s*(?:$|[,;]))', re.IGNORECASE)
# Printable ASCII: what both HTTP/1.1 and gRPC carry as it is.
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,256}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as a credential proved it.

    Attributes:
        tenant: Whose data the caller sees.
        name: The credential's name; also what rate limits count by.
        permissions: What the caller may do, such as "users.get", "users.*" or "*".
    """

    tenant: str
    name: str
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        """Whether one of the caller's permissions covers this one."""
        if permission in self.permissions or "*" in self.permissions:
            return True
        parts = permission.split(".")
        return any(
            ".".join(parts[:depth]) + ".*" in self.permissions for depth in range(1, len(parts))
        )


@dataclass(slots=True)
class CallContext:
    """What comes with a request beside the message.

    Attributes:
        headers: gRPC metadata or HTTP headers, names in lower case.
        peer: Address of the caller, without the port.
        deadline: When the caller stops waiting, on the clock of time.monotonic();
            infinite when the caller did not say.
        trailers: Facts for the caller beside the answer: gRPC trailing metadata, HTTP headers.
    """

    headers: Mapping[str, str]
    peer: str
    deadline: float = float("inf")
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def remaining(self) -> float:
        """Seconds until the caller's deadline; infinite without one."""
        return self.deadline - time.monotonic()

    def limit(self, seconds: float) -> float:
        """Seconds that a part of the call may take: no longer than the caller waits."""
        return max(0.0, min(self.remaining, seconds))

    @property
    def wait(self) -> float | None:
        """Seconds that the call may wait for the operation when it asks to (RFC 7240).

        What was asked, but no longer than any call may wait or the caller does.
        """
        match = _WAIT.search(self.headers.get("prefer", ""))
        return self.limit(min(float(match.group(1)), LONGEST_WAIT)) if match else None

    def tell(self, name: str, value: str) -> None:
        """Adds a trailer.

        Raises:
            ValueError: The value is none that a header may have. Text of a caller is
                checked before it comes here.
        """
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"not a header's value: {name}")
        self.trailers[name] = value


def seconds(duration: Duration) -> float:
    """A protobuf Duration in seconds."""
    return float(duration.seconds) + duration.nanos / 1e9
