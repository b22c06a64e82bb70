"""The house is shared by all tests of a pytest process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio
import pytest_asyncio

from nexpo_dev.stack import Stack

from .house import House


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(embedded_stack: Stack) -> AsyncIterator[House]:
    """Everything runs; a test leaves it as it was."""
    async with grpc.aio.insecure_channel(embedded_stack.gateway.grpc_address) as channel:
        yield House(embedded_stack, channel)
