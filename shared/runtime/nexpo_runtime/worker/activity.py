"""What an activity or a read may know of its call: the same under Temporal and plain gRPC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from temporalio import activity as temporal


@dataclass(frozen=True, slots=True)
class ActivityContext:
    """Whose call it is, and which attempt.

    Attributes:
        tenant: Verified; never from the request.
        operation: Workflow id of the operation; "" for a read.
        attempt: From 1.
    """

    tenant: str
    operation: str
    attempt: int


_current: ContextVar[ActivityContext | None] = ContextVar("nexpo_activity", default=None)


def current() -> ActivityContext:
    """The call under way. Raises: RuntimeError: There is none."""
    context = _current.get()
    if context is None:
        raise RuntimeError("there is no call under way: use activity.within in tests")
    return context


@contextlib.contextmanager
def within(context: ActivityContext) -> Iterator[None]:
    """Makes the block a call with this context; tests of activities use it, too."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def heartbeat(*details: object) -> None:
    """A sign of life, with a point to resume from; nothing happens under plain gRPC.

    An operation's cancel reaches a running activity with its heartbeat, as
    asyncio.CancelledError.
    """
    if temporal.in_activity():
        temporal.heartbeat(*details)


def heartbeat_details() -> Sequence[object]:
    """What the previous attempt gave with its last heartbeat; empty on the first."""
    return tuple(temporal.info().heartbeat_details) if temporal.in_activity() else ()
