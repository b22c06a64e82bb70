"""The mails that carry a verification's link, each tried as long as its link is of use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from nexpo.contract import Call
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.notifications.v1.notifications_pb2 import (
    SendVerificationRequest,
    SendVerificationResponse,
    VerificationKind,
)
from nexpo.notifications.v1.notifications_temporal import notification_activities as notifications
from nexpo.users.v1.users_pb2 import User
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.saga import Saga

from .verification import Verification


class VerificationMails:
    """Sends one person's verification mails.

    A mail server that is away, or that puts strangers off for a while
    (greylisting), takes a mail late; until the verification expires that is
    no failure.

    Args:
        saga: Runs the steps.
        user: Whom to write to.
        operation: Its name, for the link.
        verification: Told of every token that was sent.
        expires: When the links end.
    """

    def __init__(
        self, saga: Saga, user: User, operation: str, verification: Verification, expires: datetime
    ) -> None:
        self._saga = saga
        self._user = user
        self._operation = operation
        self._verification = verification
        self._expires = expires

    async def first(self, name: str) -> None:
        """Sends the mail that nothing can be verified without.

        Raises:
            Fault: MAIL_REFUSED; VERIFICATION_EXPIRED: no mail could be sent in time.
        """
        call = self._call(VerificationKind.VERIFICATION_KIND_FIRST)
        step = self._saga.step(name, call, target="mail")
        answer = await self._sent(asyncio.ensure_future(step), lambda: False)
        if answer is None:
            raise Fault(
                Reason.REASON_VERIFICATION_EXPIRED,
                "The mail server took no verification e-mail in time.",
            )

    async def again(
        self, name: str, kind: VerificationKind.ValueType, enough: Callable[[], bool]
    ) -> None:
        """Sends one more; without it the earlier ones' tokens still count.

        Args:
            name: The step's.
            kind: Why it is sent.
            enough: Whether it is of no use any more.
        """
        step = self._saga.step(name, self._call(kind), target="mail")
        await self._sent(asyncio.ensure_future(self._saga.optional(step)), enough)

    async def _sent(
        self,
        sending: asyncio.Future[SendVerificationResponse]
        | asyncio.Future[SendVerificationResponse | None],
        enough: Callable[[], bool],
    ) -> SendVerificationResponse | None:
        """Waits for a mail's sending; gives it up at the expiry, or when there was enough."""
        state = self._verification
        state.sending = True
        sending.add_done_callback(lambda _: flow.changed())
        left = max(self._expires - flow.now(), timedelta(0))
        try:
            await flow.until(lambda: sending.done() or enough(), within=left)
            if not sending.done():
                return None
            answer = sending.result()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            state.sending = False
        if answer is not None:
            state.sent(answer.token_digest)
        return answer

    def _call(self, kind: VerificationKind.ValueType) -> Call[SendVerificationResponse]:
        request = SendVerificationRequest(
            email=self._user.email,
            display_name=self._user.display_name,
            operation=self._operation,
            kind=kind,
        )
        request.expire_time.FromDatetime(self._expires)
        return notifications.send_verification(request)
