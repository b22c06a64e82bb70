"""Interleaved pairs: two arms in turn, so that a noisy neighbour disturbs both alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

from .measure import Batch

Phases = dict[str, Batch]
Arm = Callable[[], Awaitable[Phases]]
"""Measures its phases once, on a fresh server."""


@dataclass(frozen=True)
class Pairs:
    """One phase of both arms, pair by pair.

    Attributes:
        ours: With our house.
        bare: Without it.
    """

    ours: Sequence[Batch]
    bare: Sequence[Batch]

    def ratio(self, figure: Callable[[Batch], float]) -> float:
        """Median over the pairs of ours / bare."""
        return median(
            figure(ours) / figure(bare) for ours, bare in zip(self.ours, self.bare, strict=True)
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
    found: dict[str, tuple[list[Batch], list[Batch]]] = {}
    for number in range(pairs):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for side in order:
            for phase, batch in (await (ours, bare)[side]()).items():
                found.setdefault(phase, ([], []))[side].append(batch)
    return {phase: Pairs(*both) for phase, both in found.items()}
