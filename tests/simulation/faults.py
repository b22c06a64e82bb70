"""What can go wrong with one attempt of one call, and the injector that makes it so."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow.local_engine import Attempt

from .world import World

FOREVER = 10**9
LATE_SECONDS = 90.0
"""Longer than every time-out and short retry: a late commit lands when the undo is over."""
DOWN_SECONDS = 1200.0
_LASTING = ("REFUSE", "DOWN", "CONTENT")
STOP_SECONDS = 0.01
"""A call that is cancelled or has timed out needs a moment to end, as one over gRPC does."""


class Kind(Enum):
    """A fault of one call."""

    REFUSE = "refuses for good"
    AWAY = "is away for one attempt"
    DOWN = "is away for twenty minutes"
    LOSE_REPLY = "commits, and the reply is lost"
    HANG_AFTER = "commits, and never answers"
    HANG_BEFORE = "dies before the effect"
    LATE = "commits long after the time-out"
    CANCEL_BEFORE = "the operation is cancelled before the effect"
    CANCEL_AFTER = "the operation is cancelled after the effect"
    RESTART = "every worker dies with what it has in flight"
    CONTENT = "refuses for ever what is new in its content"


@dataclass(frozen=True, order=True)
class Planned:
    """One fault: at which call of which operation, and at which attempt (from 1)."""

    operation: int
    call: str
    kind: str
    attempt: int = 1

    def __str__(self) -> str:
        what = Kind[self.kind].value
        return f"operation {self.operation}: '{self.call}' {what} (attempt {self.attempt})"


Moment = tuple[float, str, bool]
"""When, on the case's clock, which call, and whether an attempt of it begins or has ended, in
whatever way, as its operation sees it."""


class Injector:
    """Makes attempts against the world, with the planned faults.

    Args:
        world: What the attempts change.
        planned: The faults.
        index: Number of an operation, by workflow id.
        cancel: Cancels an operation, by workflow id.

    Attributes:
        hit: How often each (call, fault) happened.
        course: What was attempted, in order, by workflow id.
    """

    def __init__(
        self,
        world: World,
        planned: list[Planned],
        index: Callable[[str], int],
        cancel: Callable[[str], None],
    ) -> None:
        self._world = world
        self._index = index
        self._cancel = cancel
        self._faults = {(p.operation, p.call, p.attempt): Kind[p.kind] for p in planned}
        self._struck = {p.operation for p in planned}
        self._lasting = {(p.operation, p.call): Kind[p.kind] for p in planned if p.kind in _LASTING}
        if any(p.kind == "CONTENT" for p in planned):
            world.remember_content()
        self._down_until: dict[tuple[int, str], float] = {}
        self._in_flight: set[asyncio.Future[bool]] = set()
        self._late: set[asyncio.Task[None]] = set()
        self.hit: Counter[tuple[str, str]] = Counter()
        self.course: defaultdict[str, list[Moment]] = defaultdict(list)

    async def __call__(self, attempt: Attempt) -> Message:
        """One attempt, as the engine asks for it. Raises: Fault."""
        loop, course = asyncio.get_running_loop(), self.course[attempt.workflow_id]
        course.append((loop.time(), attempt.name, True))
        operation = self._index(attempt.workflow_id)
        kind = self._planned(operation, attempt) if operation in self._struck else None
        try:
            # A refusal comes while what is done beside it is under way.
            if kind is not Kind.REFUSE:
                await self._on_the_way(loop)
            if kind is None:
                return self._world.apply(attempt.call.request)
            self.hit[attempt.name, kind.name] += 1
            return await self._faulty(kind, operation, attempt)
        except asyncio.CancelledError:
            await asyncio.sleep(STOP_SECONDS)
            raise
        finally:
            course.append((loop.time(), attempt.name, False))

    def _planned(self, operation: int, attempt: Attempt) -> Kind | None:
        lasting = self._lasting.get((operation, _unretried(attempt.name)))
        return lasting or self._faults.get((operation, attempt.name, attempt.number))

    async def settle(self) -> None:
        """Waits until every late commit has landed."""
        while self._late:
            await asyncio.gather(*self._late)

    async def _on_the_way(self, loop: asyncio.AbstractEventLoop) -> None:
        """The request travels; a restart of the workers kills it on its way."""
        arrived: asyncio.Future[bool] = loop.create_future()
        self._in_flight.add(arrived)
        loop.call_later(0.005, _resolve, arrived, True)
        try:
            if await arrived:
                return
        finally:
            self._in_flight.discard(arrived)
        await _never()

    async def _faulty(self, kind: Kind, operation: int, attempt: Attempt) -> Message:
        request = attempt.call.request
        match kind:
            case Kind.REFUSE:
                raise Fault(Reason.REASON_STORE_REFUSED)
            case Kind.AWAY:
                raise Fault(Reason.REASON_STORE_UNAVAILABLE)
            case Kind.DOWN:
                return self._down(operation, attempt)
            case Kind.CONTENT:
                self._world.refuse_new_content(request)
                return self._world.apply(request)
            case Kind.LOSE_REPLY:
                self._world.apply(request)
                raise Fault(Reason.REASON_STORE_UNAVAILABLE)
            case Kind.HANG_AFTER:
                self._world.apply(request)
                return await _never()
            case Kind.HANG_BEFORE:
                return await _never()
            case Kind.LATE:
                self._land_late(request)
                return await _never()
            case Kind.CANCEL_BEFORE:
                self._cancel(attempt.workflow_id)
                # The attempt is in flight: cancel does not stop it.
                self._land_late(request, 0.01)
                return await _never()
            case Kind.CANCEL_AFTER:
                answer = self._world.apply(request)
                self._cancel(attempt.workflow_id)
                return answer
            case Kind.RESTART:
                for other in list(self._in_flight):
                    _resolve(other, False)
                self._world.apply(request)
                return await _never()

    def _down(self, operation: int, attempt: Attempt) -> Message:
        place = (operation, _unretried(attempt.name))
        now = asyncio.get_running_loop().time()
        if now < self._down_until.setdefault(place, now + DOWN_SECONDS):
            raise Fault(Reason.REASON_STORE_UNAVAILABLE)
        return self._world.apply(attempt.call.request)

    def _land_late(self, request: Message, after: float = LATE_SECONDS) -> None:
        copy = type(request)()
        copy.CopyFrom(request)
        task = asyncio.create_task(self._landed(copy, after))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _landed(self, request: Message, after: float) -> None:
        await asyncio.sleep(after)
        with contextlib.suppress(Fault):  # Nobody waits for the answer any more.
            self._world.apply(request)


def _unretried(call: str) -> str:
    """ "undo lock user" of "undo lock user, retry 1", which a human asked for."""
    return call.partition(", retry ")[0]


def _resolve(arrived: asyncio.Future[bool], value: bool) -> None:
    if not arrived.done():
        arrived.set_result(value)


async def _never() -> Message:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")
