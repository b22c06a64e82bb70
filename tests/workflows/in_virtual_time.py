"""Workflows in process on a clock that jumps, over the modelled world: no server, no waiting."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.message import Message

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_pb2 import ResendVerificationRequest, VerifyEmailRequest
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow.local_engine import Attempt, LocalOperation
from nexpo_runtime.workflow.virtual_time import VirtualTimeLoop
from tests.simulation.world import Mail, World

T = TypeVar("T")


def played(play: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs the play under virtual time and returns what it does.

    Raises:
        TimeoutError: It is not over after 100 hours, as when a step is retried for ever.
    """

    async def within() -> T:
        async with asyncio.timeout(100 * 3600):
            return await play()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(within())


@dataclass
class Stage:
    """A world, what goes wrong in it, and when mails left it, in hours."""

    world: World = field(default_factory=World)
    faults: dict[str, Fault] = field(default_factory=dict)
    requests: list[Message] = field(default_factory=list)
    mails: list[tuple[float, Mail]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.on_mail = lambda mail: self.mails.append((hours(), mail))

    def start(
        self, workflow: type[Any], request: Message
    ) -> tuple[LocalOperation, asyncio.Task[Message]]:
        """Starts an operation of the tenant acme."""
        name = f"acme/{workflow.contract.name}/{id(request)}"
        operation = LocalOperation(workflow, request, name, "run", self._attempt)
        return operation, operation.start()

    async def _attempt(self, attempt: Attempt) -> Message:
        self.requests.append(attempt.call.request)
        if attempt.name in self.faults:
            raise self.faults[attempt.name]
        return self.world.apply(attempt.call.request)

    def hours_of(self, kind: str) -> list[float]:
        """When mails of the kind left, whole minutes."""
        return [round(at, 2) for at, mail in self.mails if mail.kind.endswith(kind)]


def hours() -> float:
    """Hours since the play began."""
    return asyncio.get_running_loop().time() / 3600


async def sleep(hours: float) -> None:
    """Lets so many hours pass."""
    await asyncio.sleep(hours * 3600)


def state(operation: LocalOperation) -> str:
    """Name of the operation's state."""
    assert operation.instance is not None
    return Progress.State.Name(operation.instance.tracker.progress.state)


async def verify(operation: LocalOperation, token: str) -> None:
    """Confirms the address with a token of a mail. Raises: Fault."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    request = VerifyEmailRequest(token_digest=digest, request_id="v")
    await operation.send("nexpo.users.v1.VerifyEmail", request)


async def resend(operation: LocalOperation) -> None:
    """Asks for another mail. Raises: Fault."""
    request = ResendVerificationRequest(request_id="s")
    await operation.send("nexpo.users.v1.ResendVerification", request)
