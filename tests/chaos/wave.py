"""One fault of the kill matrix, at many places at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from nexpo.client import NexpoError
from nexpo_dev.fault_rules import Action

from . import evidence as stores
from .field import Field
from .onboarding import PATIENCE
from .places import Place
from .trial import Outcome, Trial

WHOLE = "the stores as a whole"


class Wave:
    """One fault, at many places at once.

    Args:
        name: Of the fault.
        places: Where it strikes.
        play: What happens, from the first move to the check of the endings.
        stop_behind: Where an operation is stopped instead, for places that are to lie behind it.
    """

    def __init__(
        self,
        name: str,
        places: Sequence[Place],
        play: Callable[[Wave, Field], Awaitable[None]],
        stop_behind: Mapping[Place, Place] | None = None,
    ) -> None:
        self.name = name
        self.places = places
        self._play = play
        self._stop_behind = stop_behind or {}
        self.trials: list[Trial] = []

    def at(self, places: Sequence[Place]) -> Wave:
        """The same fault at these places only."""
        return Wave(self.name, places, self._play, self._stop_behind)

    @property
    def cases(self) -> list[str]:
        """Names of its cases."""
        return [f"{self.name}: {place}" for place in (*(p.name for p in self.places), WHOLE)]

    async def run(self, field: Field) -> list[Outcome]:
        """Play it, then check the stores."""
        self.trials = [
            Trial(field, self.name, place, self._stop_behind.get(place)) for place in self.places
        ]
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
        await self.each(struck)

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


async def struck(trial: Trial) -> None:
    try:
        async with asyncio.timeout(PATIENCE / 3):
            await trial.rule.struck()
    except TimeoutError:
        raise AssertionError("the fault found nothing to strike") from None
