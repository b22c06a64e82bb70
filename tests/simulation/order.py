"""In which order an operation does and undoes, read from the course of its attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from .case import UNDO_GROUPS
from .faults import Moment
from .run import Ended

_UNDO = "undo "


def violations(ended: Ended, course: Sequence[Moment]) -> Iterator[str]:
    """The broken promises of one operation's order; cheap where nothing was undone."""
    undos = [(time, call) for time, call, begins in course if begins and call.startswith(_UNDO)]
    if not undos:
        return
    if ended.progress.past_pivot:
        yield f"{ended.workflow_id} was undone after its pivot"
    for broken in (
        *_stopped(course),
        *_last_in_first_out(ended.kind, course),
        *_whole(ended, undos),
    ):
        yield f"{ended.workflow_id}: {broken}"


def _stopped(course: Sequence[Moment]) -> Iterator[str]:
    """Nothing is done any more once the undo begins."""
    under_way: Counter[str] = Counter()
    undoing = ""
    for _, call, begins in course:
        if call.startswith(_UNDO):
            if begins and not undoing:
                undoing = call
                yield from (f"'{undoing}' began during '{other}'" for other in +under_way)
            continue
        under_way[call] += 1 if begins else -1
        if undoing and begins:
            yield f"'{call}' began after '{undoing}'"


def _last_in_first_out(kind: str, course: Sequence[Moment]) -> Iterator[str]:
    """A group's undos are over before those of an earlier group begin."""
    under_way: Counter[int] = Counter()
    reached = len(UNDO_GROUPS[kind])
    for _, call, begins in course:
        if not call.startswith(_UNDO):
            continue
        group = _group(kind, call)
        under_way[group] += 1 if begins else -1
        if begins and (group > reached or any(under_way[g] for g in under_way if g != group)):
            yield f"'{call}' began out of order"
        reached = min(reached, group)


def _whole(ended: Ended, undos: Sequence[tuple[float, str]]) -> Iterator[str]:
    """A group's undos begin together and none is forgotten, also of a step that never began."""
    began: dict[str, float] = {}
    for time, call in undos:
        began.setdefault(_step(call), time)
    for group in UNDO_GROUPS[ended.kind]:
        times = {began.get(step) for step in group}
        if times != {None} and len(times) > 1:
            yield f"the undos of {', '.join(group)} did not begin together"


def _group(kind: str, call: str) -> int:
    return next(i for i, steps in enumerate(UNDO_GROUPS[kind]) if _step(call) in steps)


def _step(call: str) -> str:
    """ "create in postgres" of "undo create in postgres, retry 1"."""
    return call.removeprefix(_UNDO).partition(", retry ")[0]
