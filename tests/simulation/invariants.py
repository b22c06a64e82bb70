"""What must hold after every run, whatever went wrong."""

from __future__ import annotations

from collections.abc import Iterator

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_pb2 import OnboardUserResponse, User

from . import order
from .faults import DOWN_SECONDS
from .run import Ended, Outcome
from .world import AUTHORITY, STORES, World

SOON_SECONDS = 1200.0
"""Longer than three attempts of the longest call, and than the deadline of a change."""
PERSON_SECONDS = 24 * 3600.0
"""How long an onboarding waits for its person."""

_STATES = {True: (Progress.SUCCEEDED,), False: (Progress.FAILED, Progress.CANCELLED)}


def violations(outcome: Outcome) -> list[str]:
    """Every broken promise of a run, in words; empty when all were kept."""
    return list(_violations(outcome))


def _violations(outcome: Outcome) -> Iterator[str]:
    yield from outcome.wrong_answers
    for ended in outcome.ended:
        yield from order.violations(ended, outcome.course.get(ended.workflow_id, ()))
    if outcome.stuck is not None:
        yield from _unfinished(outcome)
        return
    for ended in outcome.ended:
        yield from _ending(ended)
        yield from _soon(outcome, ended)
        if ended.kind == "onboard":
            yield from _onboarded(outcome, ended)
    yield from _one_winner(outcome)
    yield from _locks(outcome.world)


def _unfinished(outcome: Outcome) -> Iterator[str]:
    for ended in outcome.ended:
        if ended.over is None:
            state, message = Progress.State.Name(ended.progress.state), ended.progress.message
            what = f"{ended.kind} {ended.workflow_id}"
            yield f"{what} does not end: {state} {message} ({outcome.stuck})"
    if all(ended.over is not None for ended in outcome.ended):
        yield f"the run does not end, though all its operations have ended ({outcome.stuck})"


def _soon(outcome: Outcome, ended: Ended) -> Iterator[str]:
    """Nothing takes longer than its faults and a person do."""
    assert ended.over is not None
    down = [f for f in outcome.case.faults if f.operation == ended.person and f.kind == "DOWN"]
    limit = SOON_SECONDS + len(down) * DOWN_SECONDS
    since = {
        "its cancel": ended.cancelled,
        "its pivot": ended.pivoted,
        "its beginning": ended.begun + (PERSON_SECONDS if ended.kind == "onboard" else 0),
    }
    for what, moment in since.items():
        if moment is not None and ended.over > moment + limit:
            yield f"{ended.workflow_id} ended {ended.over - moment:.0f} s after {what}"
    was_cancelled = ended.cancelled is not None and ended.pivoted != ended.cancelled
    if was_cancelled and ended.result is not None:
        yield f"{ended.workflow_id} succeeded though it was cancelled before its pivot"


def _ending(ended: Ended) -> Iterator[str]:
    if ended.progress.state not in _STATES[ended.result is not None]:
        state = Progress.State.Name(ended.progress.state)
        yield f"{ended.workflow_id} ended in state {state}"
    if ended.result is None and ended.pivoted is not None:
        yield f"{ended.workflow_id} failed past its pivot: {ended.fault}"
    if ended.progress.percent != 100:
        yield f"{ended.workflow_id} ended at {ended.progress.percent} %"
    if ended.progress.tasks:
        yield f"{ended.workflow_id} ended with an open task"


def _onboarded(outcome: Outcome, ended: Ended) -> Iterator[str]:
    world, prefix = outcome.world, f"{ended.workflow_id}/"
    if ended.result is None:
        yield from _nothing_left(world, prefix)
        return
    assert isinstance(ended.result, OnboardUserResponse)
    others = [o for o in outcome.ended if o.person == ended.person and o is not ended]
    if any(other.kind == "delete" and other.result is not None for other in others):
        yield from _nothing_left(world, prefix)
        return
    yield from _everywhere(world, prefix, ended.result.user)
    updated = any(other.kind == "update" and other.result is not None for other in others)
    yield from _agree(world, ended.result.user, "New" if updated else "Ada")


def _nothing_left(world: World, prefix: str) -> Iterator[str]:
    places = dict(world.users)
    for place, rows in {**places, "claims": world.claims, "homes": world.homes}.items():
        for key in rows.live():
            if key.startswith(prefix):
                yield f"{place} still has {key}"


def _everywhere(world: World, prefix: str, user: User) -> Iterator[str]:
    for store in STORES:
        own = [key for key in world.users[store].live() if key.startswith(prefix)]
        if len(own) != 1:
            yield f"{store} has {len(own)} records of {prefix}"
        same = [u for _, u in world.users[store].live().values() if u.email == user.email]
        if len(same) != 1:
            yield f"{store} has {len(same)} records of {user.email}"
    for place, rows in (("claims", world.claims), ("homes", world.homes)):
        own = [key for key in rows.live() if key.startswith(prefix)]
        if len(own) != 1:
            yield f"{place} has {len(own)} entries of {prefix}"
    every = [*world.users.values(), world.claims, world.homes]
    for rows in every:
        for key in rows.tombstones():
            if key.startswith(prefix):
                yield f"{key} has a tombstone, and was not undone"


def _agree(world: World, user: User, display_name: str) -> Iterator[str]:
    copies = [world.find(store, user.user_id) for store in STORES]
    authority = world.find(AUTHORITY, user.user_id)
    if any(copy is not None and copy.state != User.ACTIVE for copy in copies):
        yield f"{user.user_id} is not active everywhere"
    if any(copy != authority for copy in copies):
        yield f"the stores disagree about {user.user_id}"
    if authority is not None and authority.display_name != display_name:
        yield f"{user.user_id} is called {authority.display_name}"


def _one_winner(outcome: Outcome) -> Iterator[str]:
    onboarded = [e for e in outcome.ended if e.kind == "onboard"]
    for email in {person.email for person in outcome.case.people}:
        people = {i for i, p in enumerate(outcome.case.people) if p.email == email}
        winners = [e for e in onboarded if e.person in people and e.result is not None]
        gone = {e.person for e in outcome.ended if e.kind == "delete" and e.result is not None}
        if sum(winner.person not in gone for winner in winners) > 1:
            yield f"{len(winners)} onboardings won {email}"
        calm = all(p.verifies and p.cancel_at is None for p in outcome.case.people)
        careful = all(outcome.case.people[i].wrong_tokens < 5 for i in people)
        if not winners and calm and careful and not outcome.case.faults:
            yield f"nobody won {email}, and nothing went wrong"


def _locks(world: World) -> Iterator[str]:
    for key, (resource, _) in world.claims.live().items():
        if resource.startswith("user:"):
            yield f"the lock {key} is still held"
