"""A stack for the length of a block, with a gRPC channel to its gateway."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc.aio

from nexpo_dev.stack import Stack


@asynccontextmanager
async def running(
    stack: Stack, options: Sequence[tuple[str, int]] = ()
) -> AsyncIterator[grpc.aio.Channel]:
    """Runs a stack, and deletes what it kept when the block ends.

    Args:
        stack: Not started yet.
        options: Of the channel.
    """
    try:
        async with (
            stack,
            grpc.aio.insecure_channel(stack.gateway.grpc_address, options=options) as channel,
        ):
            yield channel
    finally:
        stack.remove()
