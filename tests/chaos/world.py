"""Onboardings in a world that breaks: invariants after each fault, and how long recovery took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field

from google.longrunning import operations_pb2

from nexpo.client import NexpoError
from nexpo.operations.v1.operations_pb2 import Progress

from . import evidence as stores
from .field import Field
from .onboarding import PATIENCE, Onboarding, insist
from .world_faults import Skipped, WorldFault

BEFORE, DURING = 5, 4
"""How many onboardings are under way when a fault strikes, and how many begin while it lasts."""

_HEAD_START = 0.5
WATCHERS = "gateway killed while 100 clients watch and wait"
_CLIENTS, _WATCHED = 100, 10


@dataclass
class WorldOutcome:
    """How the stack bore a fault.

    Attributes:
        fault: Its name.
        skipped: Why it did not run, or "".
        onboarded: How many onboardings ended well.
        undone: How many were undone.
        recovery: Seconds from the end of the fault to the end of the last of them.
        again: Seconds that somebody new took after that.
        problems: What was not as promised.
        reasons: Why those that were undone failed.
    """

    fault: str
    skipped: str = ""
    onboarded: int = 0
    undone: int = 0
    recovery: float = 0.0
    again: float = 0.0
    problems: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """For the report."""
        return asdict(self)


async def bear(place: Field, fault: WorldFault) -> WorldOutcome:
    """Let a fault strike in the middle of onboardings, and check what is left."""
    outcome = WorldOutcome(fault.name)
    try:
        healed, people = await _through(place, fault)
    except Skipped as why:
        outcome.skipped = str(why)
        return outcome
    ends = [onboarding.ended or 0.0 for onboarding, ended in people if ended is not None]
    outcome.recovery = round(max(0.0, max(ends, default=0.0) - healed), 1)
    await _anew(place, outcome)
    await _judge(place, outcome, people)
    if fault.all_succeed and outcome.undone:
        outcome.problems.append(f"{outcome.undone} onboardings did not outlive it")
    return outcome


People = Sequence[tuple[Onboarding, operations_pb2.Operation | None]]


async def _through(place: Field, fault: WorldFault) -> tuple[float, People]:
    slug = "world"
    lives = [_life(place.onboarding(slug)) for _ in range(BEFORE)]
    tasks = [asyncio.create_task(life) for life in lives]
    await asyncio.sleep(_HEAD_START)
    try:
        async with fault.strike(place):
            tasks += [asyncio.create_task(_life(place.onboarding(slug))) for _ in range(DURING)]
            await asyncio.sleep(fault.seconds)
    except Skipped:
        for onboarding, ended in await asyncio.gather(*tasks):
            _count(place, onboarding, ended)
        raise
    healed = time.monotonic()
    return healed, await asyncio.gather(*tasks)


async def _life(onboarding: Onboarding) -> tuple[Onboarding, operations_pb2.Operation | None]:
    try:
        return onboarding, await onboarding.live()
    except (NexpoError, TimeoutError, AssertionError):
        return onboarding, None


async def _anew(place: Field, outcome: WorldOutcome) -> None:
    """Somebody new must be onboarded once all is well again; perhaps not at the first try."""
    begun = time.monotonic()
    for _ in range(10):
        onboarding, ended = await _life(place.onboarding("anew"))
        _count(place, onboarding, ended)
        if ended is not None and not ended.HasField("error"):
            outcome.again = round(time.monotonic() - begun, 1)
            return
    outcome.problems.append("nobody could be onboarded after the fault")


async def _judge(place: Field, outcome: WorldOutcome, people: People) -> None:
    found = await place.evidence()
    for onboarding, ended in people:
        person = onboarding.person
        succeeded = _count(place, onboarding, ended)
        if succeeded is None:
            outcome.problems.append(f"{person.request_id} has not ended")
        elif succeeded:
            outcome.onboarded += 1
            outcome.problems += stores.whole(found, person)
        else:
            outcome.undone += 1
            assert ended is not None
            why = NexpoError(ended.error)
            outcome.reasons.append(str(why))
            if why.reason == "INTERNAL":
                outcome.problems.append(f"{person.request_id}: the fault was taken for a bug")
            outcome.problems += stores.gone(found, person)
    outcome.problems += stores.tidy(found, place.onboarded, place.undone)


def _count(
    place: Field, onboarding: Onboarding, ended: operations_pb2.Operation | None
) -> bool | None:
    if ended is None:
        return None
    succeeded = not ended.HasField("error")
    (place.onboarded if succeeded else place.undone).add(onboarding.person)
    return succeeded


async def watch_and_wait(place: Field) -> WorldOutcome:
    """SIGKILL to the gateway while 100 clients hang on it: all come back and get their answers."""
    outcome = WorldOutcome(WATCHERS)
    watched = [place.onboarding("watched") for _ in range(_WATCHED)]
    await asyncio.gather(*(onboarding.begin() for onboarding in watched))
    await asyncio.gather(*(onboarding.waiting() for onboarding in watched))
    listening = asyncio.Semaphore(0)
    clients = [
        asyncio.create_task((_watch if n % 2 else _wait)(watched[n % _WATCHED], listening.release))
        for n in range(_CLIENTS)
    ]
    for _ in range(_CLIENTS):
        await listening.acquire()
    await place.kill("gateway")
    await place.start("gateway")
    healed = time.monotonic()
    await asyncio.gather(*(onboarding.verify() for onboarding in watched))
    answers = await asyncio.gather(*clients, return_exceptions=True)
    outcome.recovery = round(time.monotonic() - healed, 1)
    unanswered = [answer for answer in answers if answer is not True]
    if unanswered:
        outcome.problems.append(f"{len(unanswered)} clients got no answer: {unanswered[:3]}")
    await _anew(place, outcome)
    endings = [(onboarding, await onboarding.end()) for onboarding in watched]
    await _judge(place, outcome, endings)
    return outcome


async def _wait(onboarding: Onboarding, listening: Callable[[], None]) -> bool:
    listening()
    result = await insist(lambda: onboarding.operation.result(PATIENCE))
    return result.user.email == onboarding.person.email


async def _watch(onboarding: Onboarding, listening: Callable[[], None]) -> bool:
    heard = False

    async def to_the_end() -> bool:
        nonlocal heard
        stream: AsyncIterator[Progress] = onboarding.operation.watch(PATIENCE)
        last = Progress()
        async for progress in stream:
            last = progress
            if not heard:
                heard = True
                listening()
        return last.state == Progress.SUCCEEDED

    return await insist(to_the_end)
