"""Waits for what another process or a background task will do."""

from __future__ import annotations

from nexpo_dev.waiting import eventually as until

__all__ = ["until"]
