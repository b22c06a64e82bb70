"""One case of the kill matrix: an onboarding, the place where it is stopped, and how it ended."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field

from nexpo.client import progress_of
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_pb2 import OnboardUserResponse
from nexpo_dev.fault_rules import Action, Rule

from . import evidence as stores
from .field import Field
from .onboarding import Onboarding
from .places import Person, Place

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
        self._rule: Rule | None = None
        self.seen: Rule | None = None
        self.whole = place.phase != "undo"  # how it is to end
        self.healed = 0.0
        self.user_id = ""
        self.lost = False  # something went so wrong that the rest says nothing

    @property
    def rule(self) -> Rule:
        """The rule that waits at the place; it must have been laid."""
        assert self._rule is not None
        return self._rule

    @property
    def ruled(self) -> bool:
        """Whether there is one."""
        return self._rule is not None

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
            self._rule = self._add(action, self.stop, answer)

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
        return self.field.stack.proxies[place.server].add(rule)
