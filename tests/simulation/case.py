"""One simulated case: who does what, and what goes wrong; made from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from .faults import Kind, Planned

STORES = ("postgres", "mongodb", "cosmosdb", "sqlserver", "supabase")
MAIL = "send verification e-mail"

ONBOARD_UNDOABLE = ("reserve e-mail", *(f"create in {s}" for s in STORES), "provision home")
ONBOARD_BEFORE = ("choose databases", *ONBOARD_UNDOABLE, "write welcome text", MAIL)
ONBOARD_AFTER = (
    *(f"activate in {s}" for s in STORES),
    "send welcome e-mail",
)
UPDATE_UNDOABLE = ("lock user", *(f"update in {s}" for s in STORES))
UPDATE_AFTER = ("unlock user",)
DELETE_BEFORE = ("lock user",)
DELETE_AFTER = (
    *(f"delete from {s}" for s in STORES),
    "delete home",
    "free e-mail",
    "unlock user",
)

UNDO_GROUPS = {
    "onboard": (ONBOARD_UNDOABLE[:1], ONBOARD_UNDOABLE[1:]),
    "update": (UPDATE_UNDOABLE[:1], UPDATE_UNDOABLE[1:]),
    "delete": (DELETE_BEFORE,),
}
"""By kind of operation: which steps are done side by side, the first group first."""

CANCELS = (Kind.CANCEL_BEFORE, Kind.CANCEL_AFTER)
LASTING = (Kind.REFUSE, Kind.DOWN, Kind.CONTENT)
PASSING = tuple(k for k in Kind if k not in (*CANCELS, *LASTING))
"""Faults that a retry outlives."""
WRITES = tuple(
    f"{call} {store}"
    for call in ("create in", "activate in", "update in", "undo update in")
    for store in STORES
)
"""Calls that bring content into a store."""


@dataclass(frozen=True)
class Person:
    """One onboarding: whose address, and how the person behaves.

    Attributes:
        email: The address.
        duplicates: How often the request is sent in all.
        wrong_tokens: How many wrong tokens come before the right one.
        verifies: Whether the right token comes at all.
        resends: How often another mail is asked for.
        cancel_at: Seconds after its start at which it is cancelled, or None.
        then: "update", "delete", "both" or "" once it is active.
    """

    email: str
    duplicates: int = 1
    wrong_tokens: int = 0
    verifies: bool = True
    resends: int = 0
    cancel_at: float | None = None
    then: str = ""


@dataclass(frozen=True)
class Case:
    """What one run simulates. The same case always takes the same course."""

    seed: str
    people: tuple[Person, ...]
    faults: tuple[Planned, ...] = field(default=())

    def without(self, fault: Planned) -> Case:
        """The same case with one fault less, for shrinking."""
        return replace(self, faults=tuple(f for f in self.faults if f != fault))

    def __str__(self) -> str:
        lines = [f"case {self.seed}: {len(self.people)} onboardings"]
        lines += [f"  {person}" for person in self.people]
        lines += [f"  {fault}" for fault in self.faults]
        return "\n".join(lines)


def coverage_targets() -> list[tuple[str, str]]:
    """Every (call, fault) that a full simulation must have hit at least once."""
    everything = tuple(k for k in Kind if k is not Kind.CONTENT)
    targets = [(call, kind.name) for call in ONBOARD_BEFORE for kind in everything]
    forward = (*ONBOARD_AFTER, *UPDATE_AFTER, *DELETE_AFTER)
    targets += [(call, kind.name) for call in forward for kind in (*PASSING, Kind.DOWN)]
    targets += [(call, kind.name) for call in UPDATE_UNDOABLE for kind in everything]
    undos = (*ONBOARD_UNDOABLE, *UPDATE_UNDOABLE)
    targets += [(f"undo {c}", k.name) for c in undos for k in (*PASSING, Kind.DOWN, *CANCELS)]
    return targets + [(call, Kind.CONTENT.name) for call in WRITES]


def make_case(seed: int, number: int, targets: list[tuple[str, str]]) -> Case:
    """Case `number` of a seed: it aims at one target, and adds faults at random."""
    chance = random.Random(f"{seed}/{number}")
    people = _people(chance)
    faults: list[Planned] = []
    if number % 3:  # A third of the cases aims at nothing: pure chance, and people who compete.
        # The others are counted among themselves: no number of targets may let one be left out.
        call, kind = targets[(number - number // 3 - 1) % len(targets)]
        faults, people = _aimed(chance, call, kind, people)
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        faults.append(_random_fault(chance, len(people)))
    return Case(f"{seed}/{number}", tuple(people), tuple(sorted(set(faults))))


def _people(chance: random.Random) -> list[Person]:
    count = chance.choice((1, 1, 1, 2, 2, 3))
    same = chance.random() < 0.5
    return [
        Person(
            email="ada@example.test" if same else f"p{index}@example.test",
            duplicates=chance.choice((1, 1, 1, 2, 4)),
            wrong_tokens=chance.choice((0, 0, 0, 1, 4, 5, 6)),
            verifies=chance.random() < 0.85,
            resends=chance.choice((0, 0, 0, 1, 3, 4)),
            cancel_at=chance.choice((None, None, None, None, 0.0, 0.02, 0.05, 3600.0)),
            then=chance.choice(("", "", "update", "delete", "both")),
        )
        for index in range(count)
    ]


def _aimed(
    chance: random.Random, call: str, kind: str, people: list[Person]
) -> tuple[list[Planned], list[Person]]:
    """The fault itself, and a first person who gets as far as the call."""
    onboarding = call.removeprefix("undo ") in ONBOARD_BEFORE
    then = "" if onboarding else "delete" if call in DELETE_AFTER[:-1] else "update"
    smooth = Person(email=people[0].email, then=then)
    rest = [replace(p, email=f"r{i}@example.test") for i, p in enumerate(people[1:])]
    faults = [Planned(0, call, kind)]
    if call.startswith("undo "):
        last = MAIL if onboarding else "update in supabase"
        faults.append(Planned(0, last, "REFUSE"))
    return faults, [smooth, *rest]


def _random_fault(chance: random.Random, people: int) -> Planned:
    everything = (*ONBOARD_BEFORE, *ONBOARD_AFTER, *UPDATE_UNDOABLE, *DELETE_AFTER)
    call = chance.choice(everything)
    forward = call in (*ONBOARD_AFTER, *DELETE_AFTER)
    kinds = (*PASSING, Kind.DOWN) if forward else (*PASSING, Kind.DOWN, Kind.REFUSE, *CANCELS)
    if not forward and call not in ("choose databases", "write welcome text", MAIL):
        call = chance.choice((call, f"undo {call}"))
    if call.startswith("undo "):
        kinds = (*PASSING, Kind.DOWN)
    if call in WRITES:
        kinds = (*kinds, Kind.CONTENT)
    return Planned(
        chance.randrange(people), call, chance.choice(kinds).name, chance.choice((1, 1, 1, 2))
    )
