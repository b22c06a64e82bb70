"""Bars: what a figure must reach, and whether it did. Measurements: what has no bar."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["met", "missed"]

TOLERANCE = 0.05
"""Throughput of a shared machine may be so much under its bar."""


@dataclass(frozen=True)
class Bar:
    """One promise and what was measured; a run that misses it ends with an error.

    Attributes:
        name: What is promised.
        value: What was measured.
        limit: The bar.
        sense: Whether the value must stay "at most" or be "at least" the limit.
        unit: Of both.
        note: What a reader must know to understand the value.
    """

    name: str
    value: float
    limit: float
    sense: Literal["at most", "at least"]
    unit: str = ""
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Met or missed."""
        met = self.value <= self.limit if self.sense == "at most" else self.value >= self.limit
        return "met" if met else "missed"

    def __str__(self) -> str:
        return (
            f"{self.verdict.upper():9} {self.name}: {self.value:.3g}{self.unit}"
            f" ({self.sense} {self.limit:.3g}{self.unit})"
        )

    def as_dict(self) -> dict[str, object]:
        """For the raw figures."""
        return {**asdict(self), "verdict": self.verdict}


@dataclass(frozen=True)
class Measurement:
    """A figure that is shown for orientation: nothing is promised of it.

    Attributes:
        name: What was measured.
        value: The figure.
        unit: Of the figure.
        note: What a reader must know to understand the value.
    """

    name: str
    value: float
    unit: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{'':9} {self.name}: {self.value:.3g}{self.unit}"

    def as_dict(self) -> dict[str, object]:
        """For the raw figures."""
        return asdict(self)


Figure = Bar | Measurement
