"""Bars: what a figure must reach, and whether it did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["met", "explained", "missed"]

TOLERANCE = 0.05
"""Throughput of a shared machine may be so much under its bar."""


@dataclass(frozen=True)
class Bar:
    """One promise and what was measured.

    Attributes:
        name: What is promised.
        value: What was measured.
        limit: The bar.
        sense: Whether the value must stay "at most" or be "at least" the limit.
        unit: Of both.
        note: What a reader must know to understand the value.
        explained: Where the figures are that account for a miss, for a bar that allows it.
    """

    name: str
    value: float
    limit: float
    sense: Literal["at most", "at least"]
    unit: str = ""
    note: str = ""
    explained: str = ""

    @property
    def verdict(self) -> Verdict:
        """Met; missed; or missed and accounted for."""
        met = self.value <= self.limit if self.sense == "at most" else self.value >= self.limit
        if met:
            return "met"
        return "explained" if self.explained else "missed"

    def __str__(self) -> str:
        line = (
            f"{self.verdict.upper():9} {self.name}: {self.value:.3g}{self.unit}"
            f" ({self.sense} {self.limit:.3g}{self.unit})"
        )
        return line + (f"; {self.explained}" if self.verdict == "explained" else "")

    def as_dict(self) -> dict[str, object]:
        """For the raw figures."""
        return {**asdict(self), "verdict": self.verdict}
