"""The stack under fault, and what every case needs of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

import grpc.aio

from nexpo.users.v1.users_client import UserServiceClient
from nexpo_dev.running import running
from nexpo_dev.stack import Stack

from .evidence import Evidence, gather
from .onboarding import Mails, Onboarding
from .places import PROXIED, Person, without_tds_headers
from .refusals import Refusals

SETTINGS = {"TIME_SCALE": "0.2", "LOG_LEVEL": "INFO", "PUBLIC_RATE_LIMIT": "500"}
"""A dead worker shows by its time-outs: 2 s instead of 10."""

_RECONNECT = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]


class Field:
    """A running stack with fault proxies.

    Args:
        stack: Started.
        channel: To its gateway.
    """

    def __init__(self, stack: Stack, channel: grpc.aio.Channel) -> None:
        self.stack = stack
        metadata = [("authorization", f"Bearer {stack.api_key}")]
        self.client = UserServiceClient(channel, metadata)
        self.mails = Mails(stack.servers.mailbox.folder / "mails")
        self.refusals = Refusals(stack.servers)
        self.onboarded: set[Person] = set()
        self.undone: set[Person] = set()
        self._numbers = itertools.count(1)

    def onboarding(self, name: str) -> Onboarding:
        """Somebody new."""
        number = next(self._numbers)
        request_id = f"{name}-{number:04d}"
        return Onboarding(self.client, self.mails, Person(request_id, f"p{number:04d}@example.com"))

    async def warm_up(self) -> None:
        """Onboard somebody, so that every store has its tables, and install the triggers."""
        first = self.onboarding("warm-up")
        await first.begin()
        await first.verify()
        ended = await first.end()
        assert not ended.HasField("error"), ended.error.message
        await self.refusals.prepare()
        self.onboarded.add(first.person)

    async def evidence(self) -> Evidence:
        """What the stores hold now."""
        return await gather(self.stack.servers)

    async def kill(self, *services: str) -> None:
        """SIGKILL services, all at once."""
        await asyncio.gather(*(self.stack.services[name].kill() for name in services))

    async def start(self, *services: str) -> None:
        """Start services again, and wait until they are ready."""
        await asyncio.gather(*(self.stack.services[name].start() for name in services))


@contextlib.asynccontextmanager
async def open_field(
    folder: Path,
    settings: Mapping[str, str] = SETTINGS,
    *,
    proxied: Collection[str] = PROXIED,
    legible: bool = True,
) -> AsyncIterator[Field]:
    """A new stack in a folder, deleted at the end.

    Args:
        folder: An empty one.
        settings: Of all services.
        proxied: What a fault proxy stands before.
        legible: Whether SQL Server's is to read what it carries, which is encrypted otherwise.
    """
    stack = Stack(folder, fault_proxies=proxied, settings=settings)
    if "sqlserver" in proxied and legible:
        stack.proxies["sqlserver"].unframe = without_tds_headers
        stack.servers.sqlserver.encrypt = "optional"
    async with running(stack, _RECONNECT) as channel:
        field = Field(stack, channel)
        await field.warm_up()
        yield field
