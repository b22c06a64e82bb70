"""A part of the kill matrix that has everything in it, for every change."""

from __future__ import annotations

from collections.abc import Sequence

from .places import Place
from .wave import Wave


def sample(waves: Sequence[Wave]) -> list[Wave]:
    """The waves, narrowed to places that cover them.

    Greedy: the place of a wave that adds most of what no other has yet, until nothing is
    missing of what `aspects` names.
    """
    every = [(wave, place) for wave in waves for place in wave.places]
    missing = set().union(*(aspects(wave, place) for wave, place in every))
    chosen: set[tuple[Wave, Place]] = set()
    while missing:
        best = max(every, key=lambda case: len(aspects(*case) & missing))
        chosen.add(best)
        missing -= aspects(*best)
    return [wave.at([place for place in wave.places if (wave, place) in chosen]) for wave in waves]


def aspects(wave: Wave, place: Place) -> set[tuple[str, ...]]:
    """What a case shows: its place at all; its fault in this phase, and of this service."""
    return {(place.name,), (wave.name, place.phase), (wave.name, place.worker)}
