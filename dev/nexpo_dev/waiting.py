"""Waiting for what another process or a background task will do, on a busy machine too."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

PATIENCE = 90.0
"""Seconds; far more than anything takes, for the machine may have much else to do."""


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], within: float = PATIENCE
) -> None:
    """Returns once the condition holds.

    Raises:
        TimeoutError: It did not within so many seconds; says which.
    """
    try:
        async with asyncio.timeout(within):
            while True:
                holds = condition()
                if await holds if isinstance(holds, Awaitable) else holds:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise TimeoutError(f"waited {within:g} s in vain for: {_words(condition)}") from error


def _words(condition: Callable[[], object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
