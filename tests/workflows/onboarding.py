"""An onboarding that runs on Temporal, and what a person can do with it."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_pb2 import (
    OnboardUserResponse,
    ResendVerificationRequest,
    ResendVerificationResponse,
    VerifyEmailRequest,
    VerifyEmailResponse,
)
from nexpo_runtime.names import tenant_of
from nexpo_runtime.tenant import acting_for
from tests.simulation.world import Mail

from .modelled import Place


class Onboarding:
    """One OnboardUser on the server, and what a person can do with it."""

    def __init__(self, handle: WorkflowHandle[Any, OnboardUserResponse], place: Place) -> None:
        self.handle = handle
        self.place = place
        self.tenant = tenant_of(handle.id)

    async def mail(self, kind: str = "FIRST") -> Mail:
        """The latest mail of the kind, once it has arrived."""
        async with asyncio.timeout(20):
            while True:
                mails = [mail for mail in self.place.world.mails if mail.kind.endswith(kind)]
                if mails:
                    return mails[-1]
                await asyncio.sleep(0.01)

    async def verify(self, token: str | None = None, request_id: str = "") -> VerifyEmailResponse:
        """Sends a token, by default that of the first mail. Raises: WorkflowUpdateFailedError."""
        await self.until(lambda progress: progress.state != Progress.RUNNING)
        token = token if token is not None else (await self.mail()).token
        request = VerifyEmailRequest(
            token_digest=hashlib.sha256(token.encode()).hexdigest(),
            request_id=request_id or str(uuid.uuid4()),
        )
        with acting_for(self.tenant):
            answer: VerifyEmailResponse = await self.handle.execute_update(
                "nexpo.users.v1.VerifyEmail",
                request,
                result_type=VerifyEmailResponse,
            )
        return answer

    async def resend(self) -> ResendVerificationResponse:
        """Asks for another mail."""
        with acting_for(self.tenant):
            answer: ResendVerificationResponse = await self.handle.execute_update(
                "nexpo.users.v1.ResendVerification",
                ResendVerificationRequest(request_id=str(uuid.uuid4())),
                result_type=ResendVerificationResponse,
            )
        return answer

    async def dealt_with_its_cancel(self) -> None:
        """Waits until the workflow has seen that it was asked to stop."""
        async with asyncio.timeout(20):
            while True:
                kinds = [e.event_type async for e in self.handle.fetch_history_events()]
                asked = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
                if asked in kinds:
                    later = kinds[kinds.index(asked) :]
                    if EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in later:
                        return
                await asyncio.sleep(0.02)

    async def progress(self) -> Progress:
        """What the memo shows."""
        description = await self.handle.describe()
        return await description.memo_value("progress", type_hint=Progress)

    async def until(self, condition: Callable[[Progress], bool]) -> Progress:
        """The first progress for which the condition holds."""
        async with asyncio.timeout(30):
            while True:
                progress = await self.progress()
                if condition(progress):
                    return progress
                await asyncio.sleep(0.02)
