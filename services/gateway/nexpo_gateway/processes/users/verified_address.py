"""Waits for a verified e-mail address: the mails that are due, and when the wait is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.notifications.v1.notifications_pb2 import VerificationKind
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow import flow

from .verification import Verification
from .verification_mails import VerificationMails


async def verified(state: Verification, mails: VerificationMails, expires: datetime) -> None:
    """Returns once the address is verified; a first mail must have been sent.

    Until then every mail that is asked for is sent, and a reminder half-way to the end.

    Args:
        state: Where the verification stands; the operation's updates change it.
        mails: Sends them.
        expires: The end of the wait.

    Raises:
        Fault: VERIFICATION_EXPIRED.
    """
    # Half-way between the first mail, which may have come late, and the end.
    remind: datetime | None = flow.now() + (expires - flow.now()) / 2
    while not state.done:
        pause = max((remind or expires) - flow.now(), timedelta(0))
        changed = await flow.until(lambda: state.done or state.resend_due(), pause)
        if state.done:
            return
        if changed:
            state.resends_sent += 1
            name = f"send verification e-mail again, {state.resends_sent}"
            kind = VerificationKind.VERIFICATION_KIND_RESEND
            await mails.again(name, kind, lambda: state.done)
        elif remind is not None:
            remind = None
            kind = VerificationKind.VERIFICATION_KIND_REMINDER
            # A mail that was asked for says all that the reminder would.
            await mails.again("send reminder", kind, lambda: state.done or state.resend_due())
        else:
            raise Fault(
                Reason.REASON_VERIFICATION_EXPIRED,
                "The e-mail address was not verified in time.",
            )
