"""One running house for all end-to-end tests of a pytest process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from nexpo_dev.running import running
from nexpo_dev.stack import Stack

from .house import House

SETTINGS = {"TIME_SCALE": "0.5", "TASK_AFTER": "1.5"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Everything runs; a test leaves it as it was."""
    stack = Stack(tmp_path_factory.mktemp("house"), settings=SETTINGS)
    async with running(stack) as channel:
        yield House(stack, channel)
