"""Interleaved pairs: two arms in turn, so that a noisy neighbour disturbs both alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median

from .measure import Batch, joined

Phases = dict[str, Batch]
Arm = Callable[[], Awaitable[Phases]]
"""Measures its phases once, on a fresh server."""
Steps = AsyncGenerator[tuple[str, Batch], None]
"""Phases of an arm, piece by piece; between them it stays as it is, and idle."""
SteppedArm = Callable[[], Steps]

_Found = dict[str, tuple[list[Batch], list[Batch]]]


@dataclass(frozen=True)
class Pairs:
    """One phase of both arms, pair by pair.

    Attributes:
        ours: With our house.
        bare: Without it.
    """

    ours: Sequence[Batch]
    bare: Sequence[Batch]

    def ratio(self, figure: Callable[[Batch], float], less: float = 0.0) -> float:
        """Median over the pairs of (ours - less) / bare."""
        return median(
            (figure(ours) - less) / figure(bare)
            for ours, bare in zip(self.ours, self.bare, strict=True)
        )

    def as_dict(self) -> dict[str, object]:
        """For the raw figures."""
        return {
            "ours": [batch.as_dict() for batch in self.ours],
            "bare": [batch.as_dict() for batch in self.bare],
        }


def typical(batches: Sequence[Batch], figure: Callable[[Batch], float]) -> float:
    """Median of a figure."""
    return median(map(figure, batches))


def typical_cpu(batches: Sequence[Batch]) -> dict[str, float]:
    """Median CPU per call, in milliseconds, by process."""
    return {
        name: typical(batches, lambda batch, name=name: batch.cpu_ms.get(name, 0.0))  # type: ignore[misc]  # mypy cannot type a default of a lambda
        for name in batches[0].cpu_ms
    }


async def interleaved(pairs: int, ours: Arm, bare: Arm) -> dict[str, Pairs]:
    """Runs the arms in turn, the first one of a pair alternating.

    Returns:
        Both arms' batches by the phase's name.
    """
    found: _Found = {}
    for number in range(pairs):
        for side in _order(number):
            for phase, batch in (await (ours, bare)[side]()).items():
                found.setdefault(phase, ([], []))[side].append(batch)
    return {phase: Pairs(*both) for phase, both in found.items()}


async def side_by_side(pairs: int, ours: SteppedArm, bare: SteppedArm) -> dict[str, Pairs]:
    """Runs the arms of a pair together, a piece of one after the same piece of the other.

    A phase comes in as many pieces as its arm yields under its name: the speed of a
    shared machine changes from one second to the next, and short pieces see the same
    of it. Else as `interleaved`.
    """
    found: _Found = {}
    for number in range(pairs):
        for side, phases in enumerate(await _together(number, ours, bare)):
            for phase, pieces in phases.items():
                found.setdefault(phase, ([], []))[side].append(joined(pieces))
    return {phase: Pairs(*both) for phase, both in found.items()}


async def _together(
    number: int, ours: SteppedArm, bare: SteppedArm
) -> tuple[dict[str, list[Batch]], dict[str, list[Batch]]]:
    found: tuple[dict[str, list[Batch]], dict[str, list[Batch]]] = ({}, {})
    async with aclosing(ours()) as first, aclosing(bare()) as second:
        waiting = [(side, (first, second)[side]) for side in _order(number)]
        while waiting:
            for side, arm in list(waiting):
                step = await anext(arm, None)
                if step is None:
                    waiting.remove((side, arm))
                else:
                    found[side].setdefault(step[0], []).append(step[1])
            waiting.reverse()  # whoever goes first finds the machine otherwise than the other
    return found


def _order(number: int) -> tuple[int, int]:
    return (0, 1) if number % 2 == 0 else (1, 0)
