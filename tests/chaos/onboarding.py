"""One onboarding as its client sees it, through gateways that die and come back."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import time
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from google.longrunning import operations_pb2

from nexpo.client import NexpoError, progress_of
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo.users.v1.users_client import OnboardUserOperation, UserServiceClient
from nexpo.users.v1.users_pb2 import OnboardUserRequest

from .places import Person

T = TypeVar("T")

PATIENCE = 90.0
_LOOK_EVERY = 0.1
_PASSING = ("", "TEMPORAL_UNAVAILABLE", "WORKER_UNAVAILABLE", "SHUTTING_DOWN", "DEADLINE_EXCEEDED")
"""Reasons of calls that are worth another try; "" is a gateway that is away."""


class Mails:
    """What the mail catcher has kept, by address, read from its folder as it comes.

    Args:
        folder: Where it keeps one file a mail.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()
        self._tokens: dict[str, str] = {}
        self._looked = 0.0

    async def token(self, address: str) -> str:
        """The token of the latest link sent to an address, once there is one."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self.look()
                if address in self._tokens:
                    return self._tokens[address]
                await asyncio.sleep(0.05)

    def look(self) -> None:
        """Read what is new; however many ask, ten times a second."""
        if time.monotonic() - self._looked < _LOOK_EVERY:
            return
        self._looked = time.monotonic()
        for file in sorted(self._folder.glob("*.eml")):
            if file.name in self._read:
                continue
            self._read.add(file.name)
            mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            body = mail.get_body(("plain",))
            assert isinstance(body, EmailMessage)
            found = re.search(r"[?&]token=([^&\s]+)", str(body.get_content()))
            for address in mail.get_all("X-Envelope-To", []):
                if found:
                    self._tokens[str(address)] = unquote(found[1])


class Onboarding:
    """One person's onboarding.

    Args:
        client: To the gateway.
        mails: The mail catcher's.
        person: Who.

    Attributes:
        ended: When it was seen to have ended (monotonic), or None.
    """

    def __init__(self, client: UserServiceClient, mails: Mails, person: Person) -> None:
        self._client = client
        self._mails = mails
        self.person = person
        self.handle: OnboardUserOperation | None = None
        self.ended: float | None = None

    @property
    def operation(self) -> OnboardUserOperation:
        """The operation; it must have begun."""
        assert self.handle is not None
        return self.handle

    async def begin(self) -> None:
        """Ask for it; again with the same request_id until there is an answer."""
        request = OnboardUserRequest(
            email=self.person.email,
            display_name=self.person.request_id.replace("-", " ").title(),
            password="correct horse battery staple",
            request_id=self.person.request_id,
        )
        request.profile.locale = "en"
        request.profile.plan = "pro"
        self.handle = await insist(lambda: self._client.onboard_user(request))

    async def verify(self) -> None:
        """Do what the mail asks for."""
        token = await self._mails.token(self.person.email)
        await insist(
            lambda: self.operation.verify_email(token=token, request_id=self.person.request_id),
            also=("VERIFICATION_NOT_READY",),
        )

    async def cancel(self) -> None:
        """Cancel it. Raises: NexpoError: It is too late for that."""
        await insist(self.operation.cancel)

    async def waiting(self) -> None:
        """Wait until all is done that comes before the verification."""
        await self.until(lambda progress: progress.state == Progress.WAITING)

    async def step_done(self, name: str) -> None:
        """Wait until a step is reported as done."""
        await self.until(lambda progress: any(s.name == name and _over(s) for s in progress.steps))

    async def until(self, condition: Callable[[Progress], bool]) -> Progress:
        """The first progress for which the condition holds.

        Raises:
            AssertionError: It ended without.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await insist(self.operation.operation)
                progress = progress_of(found)
                if condition(progress):
                    return progress
                assert not found.done, f"{self.person.request_id} ended early: {_shown(found)}"
                await asyncio.sleep(0.15)

    async def live(self) -> operations_pb2.Operation:
        """Begin, verify as soon as the mail is there, and stay until the end, whatever it is."""
        await self.begin()
        ending = asyncio.create_task(self.end(2 * PATIENCE))
        verifying = asyncio.create_task(self.verify())
        try:
            await asyncio.wait((ending, verifying), return_when=asyncio.FIRST_COMPLETED)
            return await ending
        finally:
            # Its mail may never have come, or come too late: how the operation ended says it all.
            for task in (ending, verifying):
                task.cancel()
            await asyncio.gather(ending, verifying, return_exceptions=True)

    async def end(self, patience: float = PATIENCE) -> operations_pb2.Operation:
        """The operation when it has ended. Raises: TimeoutError: It does not end."""
        async with asyncio.timeout(patience):
            while True:
                found = await insist(self.operation.operation)
                if found.done:
                    self.ended = time.monotonic()
                    return found
                try:
                    await self.operation.result(20)
                except (NexpoError, TimeoutError):
                    await asyncio.sleep(0.2)


async def insist(call: Callable[[], Awaitable[T]], also: tuple[str, ...] = ()) -> T:
    """Make a call again as long as it fails by what passes. Raises: NexpoError: It does not."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except NexpoError as error:
            if error.reason not in (*_PASSING, *also) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.2)


def _over(step: Step) -> bool:
    return step.state in (Step.DONE, Step.SKIPPED, Step.UNDONE)


def _shown(operation: operations_pb2.Operation) -> str:
    return operation.error.message or "succeeded"
