"""How calls of databases end, alone and at once."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nexpo_db_worker.capabilities.fences import Taken
from nexpo_runtime.errors import Fault

T = TypeVar("T")
PATIENCE_S = 9.0  # less than the 10 s that an attempt of an activity may take


def new_key() -> str:
    return f"t/nexpo.users.v1.OnboardUser/{uuid.uuid4()}/create in X"


async def reason_of(call: Awaitable[object]) -> str:
    """The reason that the call fails with, or "TAKEN" and the column; "" when it succeeds."""
    try:
        await call
    except (Fault, Taken) as error:
        return _reason(error)
    return ""


async def outcomes(calls: list[Awaitable[T]]) -> tuple[list[T], list[str]]:
    """Results and reasons of calls made at once; any other exception is raised."""
    results: list[T] = []
    reasons: list[str] = []
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, Fault | Taken):
            reasons.append(_reason(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            results.append(outcome)
    return results, reasons


async def recovered(call: Callable[[], Awaitable[object]], within: float = 90) -> None:
    """Waits until the database answers again, by itself."""
    deadline = time.monotonic() + within
    while (reason := await reason_of(call())) and time.monotonic() < deadline:
        assert reason == "STORE_UNAVAILABLE"
        await asyncio.sleep(0.1)
    assert reason == ""


def _reason(error: Fault | Taken) -> str:
    return error.name if isinstance(error, Fault) else f"TAKEN {error.column}"
