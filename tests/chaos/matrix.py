"""The kill matrix: every fault at every place, many onboardings under one kill."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field

from nexpo.client import NexpoError, progress_of
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo.users.v1.users_pb2 import OnboardUserResponse, UpdateUserRequest

from . import evidence as stores
from .field import Field
from .onboarding import PATIENCE, Onboarding
from .places import (
    ACTIVATIONS,
    CREATES,
    FENCED,
    FORWARD,
    HOME,
    MAIL,
    RESERVE,
    TEXT,
    UNDOS,
    Person,
    Place,
)
from .refusals import refusal_of
from .rule_proxy import Action, Rule

WHOLE = "the stores as a whole"
_ENDINGS = {True: Progress.SUCCEEDED, False: Progress.CANCELLED}


@dataclass
class Outcome:
    """How one case went.

    Attributes:
        case: "fault: place".
        problems: What was not as promised; empty when all was.
        seconds: From the end of the fault to the end of the operation.
    """

    case: str
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """For the report."""
        return asdict(self)


class Trial:
    """One case: an onboarding on its way to a place, and the rule that waits for it there.

    Args:
        field: Where it happens.
        wave: Name of the fault.
        place: Where the fault strikes.
        at: Where the operation is stopped, when that is not the place itself.
    """

    def __init__(self, field: Field, wave: str, place: Place, at: Place | None = None) -> None:
        self.field = field
        self.place = place
        self.stop = at or place
        self.outcome = Outcome(f"{wave}: {place.name}")
        self.onboarding: Onboarding = field.onboarding(re.sub("[^a-z]+", "-", wave))
        self.rule: Rule | None = None
        self.seen: Rule | None = None
        self.whole = place.phase != "undo"  # how it is to end
        self.healed = 0.0
        self.user_id = ""
        self.lost = False  # something went so wrong that the rest says nothing

    @property
    def person(self) -> Person:
        """Who."""
        return self.onboarding.person

    def expect(self, kept: bool, otherwise: str) -> None:
        """Note a problem where a promise was not kept."""
        if not kept:
            self.outcome.problems.append(otherwise)

    async def approach(self) -> None:
        """Go to where only the last move is left: what comes before the place is done."""
        if self.stop.phase == "forward":
            return
        await self.onboarding.begin()
        await self.onboarding.waiting()

    def lay(self, action: Action | None, answer: bytes = b"") -> None:
        """Lay the rule, and one that counts the requests of the place."""
        self.seen = self._add("watch", self.place)
        if action is not None:
            self.rule = self._add(action, self.stop, answer)

    async def move(self) -> None:
        """The last move: what leads into the place."""
        if self.stop.phase == "forward":
            await self.onboarding.begin()
        elif self.stop.phase == "activation":
            await self.onboarding.verify()
        else:
            await self.onboarding.cancel()

    async def finish(self) -> None:
        """Let the operation come to its end, and check how it ended."""
        if self.whole and self.stop.phase == "forward":
            await self.onboarding.verify()
        ended = await self.onboarding.end()
        self.outcome.seconds = round(max(0.0, (self.onboarding.ended or 0) - self.healed), 2)
        progress = progress_of(ended)
        wanted = _ENDINGS[self.whole]
        state = Progress.State.Name(progress.state)
        self.expect(
            progress.state == wanted or (not self.whole and progress.state == Progress.FAILED),
            f"ended as {state}: {ended.error.message}",
        )
        self.expect(progress.percent == 100, f"ended at {progress.percent} %")
        self.expect(not progress.tasks, "ended with an open task")
        if self.whole and not ended.HasField("error"):
            result = OnboardUserResponse()
            self.expect(ended.response.Unpack(result), "ended with another kind of result")

    def check(self, found: stores.Evidence) -> None:
        """Check what the stores hold of the person."""
        check = stores.whole if self.whole else stores.gone
        self.outcome.problems += check(found, self.person)

    def _add(self, action: Action, place: Place, answer: bytes = b"") -> Rule:
        rule = place.rule(action, self.person, self.user_id, answer)
        return self.field.proxy(place.server).add(rule)


class Wave:
    """One fault, at many places at once.

    Args:
        name: Of the fault.
        places: Where it strikes.
        play: What happens, from the first move to the check of the endings.
    """

    def __init__(
        self, name: str, places: Sequence[Place], play: Callable[[Wave, Field], Awaitable[None]]
    ) -> None:
        self.name = name
        self.places = places
        self._play = play
        self.trials: list[Trial] = []

    @property
    def cases(self) -> list[str]:
        """Names of its cases."""
        return [f"{self.name}: {place}" for place in (*(p.name for p in self.places), WHOLE)]

    async def run(self, field: Field) -> list[Outcome]:
        """Play it, then check the stores."""
        self.trials = [Trial(field, self.name, place, self._stop(place)) for place in self.places]
        try:
            await self._play(self, field)
        finally:
            for proxy in field.stack.proxies.values():
                proxy.heal()
            await field.start(*field.stack.services)
        found = await field.evidence()
        for trial in self.trials:
            trial.check(found)
            (field.onboarded if trial.whole else field.undone).add(trial.person)
        left = Outcome(f"{self.name}: {WHOLE}")
        left.problems += stores.tidy(found, field.onboarded, field.undone)
        return [*(trial.outcome for trial in self.trials), left]

    def _stop(self, place: Place) -> Place | None:
        return _STOP_BEHIND.get(place) if self.name == AFTER_REPORT else None

    async def approach(self, field: Field) -> None:
        """Bring every trial to where only its last move is left."""
        await self.each(Trial.approach)
        found = await field.evidence()
        for trial in self.trials:
            for row in found.of("postgres", trial.person):
                trial.user_id = row.user_id

    async def pause(self, field: Field, action: Action) -> None:
        """Bring every trial to its place, where the rule holds it."""
        await self.approach(field)
        for trial in self.trials:
            trial.lay(action)
        await self.each(Trial.move)
        await self.each(_struck)

    async def each(
        self, do: Callable[[Trial], Awaitable[None]], trials: Iterable[Trial] | None = None
    ) -> None:
        """Do it for every trial at once; what goes wrong is a problem of that trial."""

        async def one(trial: Trial) -> None:
            try:
                await do(trial)
            except (AssertionError, NexpoError, TimeoutError) as error:
                trial.lost = True
                trial.expect(False, f"{type(error).__name__}: {error}")

        chosen = self.trials if trials is None else trials
        await asyncio.gather(*(one(trial) for trial in chosen if not trial.lost))

    async def check_effects(self, field: Field, there: bool) -> None:
        """Whether the effects that are held up have happened, as the fault says."""
        found = await field.evidence()
        for trial in self.trials:
            seen = stores.landed(found, trial.place, trial.person)
            word = "not there yet" if there else "there already"
            trial.expect(seen in (None, there), f"the effect was {word} when the fault struck")

    def healed(self) -> None:
        """From here on recovery is timed."""
        for trial in self.trials:
            trial.healed = time.monotonic()


async def _struck(trial: Trial) -> None:
    try:
        async with asyncio.timeout(PATIENCE / 3):
            await _rule(trial).struck()
    except TimeoutError:
        raise AssertionError("the fault found nothing to strike") from None


def _rule(trial: Trial) -> Rule:
    assert trial.rule is not None
    return trial.rule


async def _refused(wave: Wave, field: Field) -> None:
    """The store says no: forward it ends and is undone, past the pivot it goes on."""
    await wave.approach(field)
    for trial in wave.trials:
        trial.whole = trial.place is TEXT or trial.place.phase == "activation"
        if trial.place.server in ("object_storage", "claude", "mailbox"):
            trial.lay("answer", refusal_of(trial.place.server))
        else:
            trial.lay(None)
            await field.refusals.add(trial.place, trial.person)
    await wave.each(Trial.move)
    forward = [trial for trial in wave.trials if trial.place.phase == "forward"]
    others = [trial for trial in wave.trials if trial.place.phase != "forward"]
    wave.healed()
    await asyncio.gather(wave.each(Trial.finish, forward), wave.each(_tried_twice, others))
    await field.refusals.clear()
    for trial in others:
        if trial.rule is not None:
            trial.rule.disarm()
        trial.healed = time.monotonic()
    await wave.each(Trial.finish, others)


async def _tried_twice(trial: Trial) -> None:
    assert trial.seen is not None
    async with asyncio.timeout(PATIENCE):
        await trial.seen.struck(times=2)


async def _timed_out(wave: Wave, field: Field) -> None:
    """It commits, and the reply never comes: the attempt times out, the next one finds it."""
    await wave.pause(field, "hold reply")
    for trial in wave.trials:
        _rule(trial).disarm()
    await wave.check_effects(field, there=True)
    wave.healed()
    await wave.each(Trial.finish)
    for trial in wave.trials:
        trial.expect(_rule(trial).holding > 0, "the reply came, so nothing timed out")


async def _late(wave: Wave, field: Field) -> None:
    """The request is overtaken by its own undo, or by its own retry, and comes afterwards."""
    await wave.pause(field, "hold request")
    await wave.check_effects(field, there=False)
    for trial in wave.trials:
        _rule(trial).disarm()

    async def overtaken(trial: Trial) -> None:
        if trial.place.phase == "forward":
            trial.whole = False
            await trial.onboarding.cancel()
        await trial.finish()
        if trial.place.phase == "activation":
            await _rename(field, trial)

    wave.healed()
    await wave.each(overtaken)
    await wave.each(_land)
    found = await field.evidence()
    for trial in wave.trials:
        if trial.place.phase == "activation":
            names = [row.name for row in found.of(trial.place.server, trial.person)]
            trial.expect(names == ["Renamed"], f"the late activation has written over: {names}")


async def _rename(field: Field, trial: Trial) -> None:
    request = UpdateUserRequest(user_id=trial.user_id, display_name="Renamed")
    request.update_mask.paths.append("display_name")
    operation = await field.client.update_user(request)
    await operation.result(PATIENCE)


async def _land(trial: Trial) -> None:
    _rule(trial).release()
    async with asyncio.timeout(20):
        await _rule(trial).answered_late()


async def _worker_killed_before(wave: Wave, field: Field) -> None:
    """SIGKILL while the request is on its way; it arrives when all is over."""
    await _killed(wave, field, "hold request", WORKERS)
    await wave.each(Trial.finish)
    await wave.each(_land)


async def _worker_killed_after(wave: Wave, field: Field) -> None:
    """SIGKILL when the effect has happened and nobody knows."""
    await _killed(wave, field, "hold reply", WORKERS)
    await wave.each(Trial.finish)


async def _gateway_killed_before(wave: Wave, field: Field) -> None:
    """SIGKILL of the workflow worker while a request is on its way."""
    await _killed(wave, field, "hold request", ("gateway",))
    for trial in wave.trials:
        _rule(trial).release()
    await wave.each(Trial.finish)


async def _gateway_killed_after(wave: Wave, field: Field) -> None:
    """SIGKILL of the workflow worker when an effect has happened and is not reported."""
    await _killed(wave, field, "hold reply", ("gateway",))
    for trial in wave.trials:
        _rule(trial).release()
    await wave.each(Trial.finish)


async def _killed(wave: Wave, field: Field, action: Action, services: Sequence[str]) -> None:
    await wave.pause(field, action)
    await wave.check_effects(field, there=action == "hold reply")
    for trial in wave.trials:
        trial.expect(_rule(trial).holding > 0, "the kill struck nothing")
    await field.kill(*services)
    for trial in wave.trials:
        _rule(trial).disarm()
    await field.start(*services)
    wave.healed()


async def _worker_killed_after_report(wave: Wave, field: Field) -> None:
    """SIGKILL when the effect has happened and is reported: it is not made again."""
    await wave.approach(field)
    for trial in wave.trials:
        trial.lay(None if trial.place is TEXT else "hold request")
    await wave.each(Trial.move)
    await wave.each(_reported)
    counts = {trial: trial.seen.count for trial in wave.trials if trial.seen is not None}
    await field.kill(*WORKERS)
    for trial in wave.trials:
        if trial.rule is not None:
            trial.rule.drop()
    await field.start(*WORKERS)
    wave.healed()
    await wave.each(Trial.finish)
    for trial, count in counts.items():
        assert trial.seen is not None
        trial.expect(count == trial.seen.count, "the effect was made again after its report")


async def _reported(trial: Trial) -> None:
    done = Step.UNDONE if trial.place.phase == "undo" else Step.DONE
    if trial.rule is not None:
        async with asyncio.timeout(PATIENCE):
            await trial.rule.struck()
    await trial.onboarding.until(
        lambda progress: any(
            step.name == trial.place.step and step.state == done for step in progress.steps
        )
    )


async def _cancelled(wave: Wave, field: Field) -> None:
    """Cancelled while the effect has happened and is not reported."""
    await wave.pause(field, "hold reply")
    await wave.check_effects(field, there=True)

    async def cancel(trial: Trial) -> None:
        trial.whole = trial.place.phase == "activation"
        try:
            await trial.onboarding.cancel()
        except NexpoError as error:
            refused = trial.whole and error.reason == "OPERATION_PAST_PIVOT"
            trial.expect(refused, f"the cancel was refused: {error}")
        else:
            trial.expect(not trial.whole, "a cancel after the pivot was taken")
        if trial.place.phase != "forward":
            _rule(trial).release()
        else:
            _rule(trial).disarm()

    wave.healed()
    await wave.each(cancel)
    await wave.each(Trial.finish)


WORKERS = ("db-worker", "cloud-worker", "ai-worker")
AFTER_REPORT = "worker killed after the report"

_STOP_BEHIND: dict[Place, Place] = {
    **dict.fromkeys((RESERVE, *CREATES, HOME), TEXT),
    **dict(zip(ACTIVATIONS, (*ACTIVATIONS[1:], ACTIVATIONS[0]), strict=True)),
    **dict.fromkeys(UNDOS[1:], UNDOS[0]),
}
"""Where an operation is stopped so that a place lies behind it, reported."""

_ALL = (*UNDOS, *ACTIVATIONS, *FORWARD)
_OF_WORKERS = tuple(place for place in _ALL if place is not MAIL)
_REPORTED = (RESERVE, *CREATES, HOME, TEXT, *ACTIVATIONS, *UNDOS[1:])

WAVES = (
    Wave("refused", _ALL, _refused),
    Wave("timed out after commit", _ALL, _timed_out),
    Wave("late, after undo or retry", (*UNDOS, *ACTIVATIONS, *FENCED), _late),
    Wave("worker killed before the effect", _OF_WORKERS, _worker_killed_before),
    Wave("worker killed after the effect", _OF_WORKERS, _worker_killed_after),
    Wave(AFTER_REPORT, _REPORTED, _worker_killed_after_report),
    Wave("cancelled after the effect", _ALL, _cancelled),
    Wave("gateway killed before the effect", _ALL, _gateway_killed_before),
    Wave("gateway killed after the effect", _ALL, _gateway_killed_after),
)
