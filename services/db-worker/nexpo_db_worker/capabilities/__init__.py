"""What a database can be asked for, whatever engine it has.

One Protocol for each capability, and what they speak of: tables, rows, faults. It knows no
engine, and nobody who asks.
"""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """A name for each, in declarations of engines and in faults."""

    FENCES = "fences"
    RECORDS = "records"
