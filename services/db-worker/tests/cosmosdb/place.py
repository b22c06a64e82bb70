"""Where these tests keep their data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """An account and a database of it."""

    url: str
    key: str
    database: str
