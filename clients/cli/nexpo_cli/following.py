"""Following an operation to its end, across broken connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from google.longrunning import operations_pb2 as longrunning
from google.protobuf.descriptor import MethodDescriptor

from nexpo.client import NexpoError, progress_of
from nexpo.operations.v1.operations_pb2 import Progress, WatchOperationRequest

from .contract import registry
from .exits import Exit
from .gateway import Gateway, exit_of

# How long an operation may be out of sight before the command gives up.
PATIENCE = 30.0
BLOCKED = (Progress.UNDO_BLOCKED, Progress.BLOCKED)
"""States in which an operation waits for a human to help it."""

_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)

Frame = Callable[[longrunning.Operation], None]
Lost = Callable[[NexpoError | None], None]


async def follow(
    gateway: Gateway,
    name: str,
    *,
    seen: Frame,
    lost: Lost,
    seconds: float | None = None,
    past_blocked: bool = False,
) -> longrunning.Operation | None:
    """Watches an operation until it has ended, or there is nothing left to wait for.

    Args:
        gateway: Who runs it.
        name: The operation's name.
        seen: Told of every state of the operation.
        lost: Told when the connection broke and is made again.
        seconds: Gives up after so long.
        past_blocked: Goes on while the operation needs a human.

    Returns:
        The operation as it was last seen; None when it was not seen in time.

    Raises:
        NexpoError: The operation cannot be watched, or not for half a minute.
    """
    watching = _Watching(gateway, name, seen, lost, past_blocked)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await watching.run()
    return watching.last


class _Watching:
    """One operation, through as many streams as it takes."""

    def __init__(
        self, gateway: Gateway, name: str, seen: Frame, lost: Lost, past_blocked: bool
    ) -> None:
        self.last: longrunning.Operation | None = None
        self._gateway = gateway
        self._name = name
        self._seen = seen
        self._lost = lost
        self._past_blocked = past_blocked
        self._in_sight = time.monotonic()
        self._failures = 0

    async def run(self) -> None:
        while not self._over():
            error: NexpoError | None = None
            try:
                await self._stream()
            except NexpoError as failed:
                out_of_sight = time.monotonic() - self._in_sight
                if exit_of(failed) is not Exit.UNAVAILABLE or out_of_sight > PATIENCE:
                    raise
                error = failed
                # Before the first frame it is no broken watch but a gateway that is away.
                if self.last is None and not failed.reason:
                    raise
            if self._over():
                return
            self._lost(error)
            await asyncio.sleep(_PAUSES[min(self._failures, len(_PAUSES) - 1)])
            self._failures += 1

    async def _stream(self) -> None:
        request = WatchOperationRequest(name=self._name)
        frames = self._gateway.stream(_watch_method(), request, None)
        async with contextlib.aclosing(frames):  # type: ignore[type-var]  # it is a generator
            async for frame in frames:
                assert isinstance(frame, longrunning.Operation)
                self._in_sight, self._failures = time.monotonic(), 0
                self.last = frame
                self._seen(frame)
                if self._over():
                    return

    def _over(self) -> bool:
        if self.last is None:
            return False
        blocked = progress_of(self.last).state in BLOCKED
        return self.last.done or (blocked and not self._past_blocked)


def exit_of_operation(operation: longrunning.Operation | None) -> Exit:
    """The exit code for an operation as it was last seen."""
    if operation is None or not operation.done:
        return Exit.OPEN
    return Exit.FAILED if operation.HasField("error") else Exit.OK


def _watch_method() -> MethodDescriptor:
    return registry.method("nexpo.operations.v1.WatchOperation")
