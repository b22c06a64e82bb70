"""What the verification page says, for a person who only wanted to sign up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault


class Offer(Enum):
    """What the page lets the person do next."""

    NOTHING = ""
    CONFIRM = "confirm"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One page.

    Attributes:
        title: Its title and heading.
        words: Its paragraphs.
        offer: Its button.
        status: HTTP status; that of the fault when 0.
    """

    title: str
    words: tuple[str, ...]
    offer: Offer = Offer.NOTHING
    status: int = 0


ASKING = Outcome(
    "Confirm your e-mail address",
    ("Press the button to confirm that this e-mail address is yours.",),
    Offer.CONFIRM,
    200,
)
CONFIRMED = Outcome(
    "Your e-mail address is confirmed",
    ("There is nothing more to do. You can close this page.",),
    status=200,
)
MAIL_ASKED = Outcome(
    "A new e-mail is on its way",
    ("It can take a few minutes. Please open the link in it.",),
    status=200,
)
INCOMPLETE = Outcome(
    "This link is not complete",
    (
        "A part of it was lost on the way here.",
        "Please press the button in the e-mail itself, or copy the whole link from it.",
    ),
    status=400,
)
_TOO_LATE = Outcome(
    "This link is too old",
    (
        "The time to confirm this e-mail address is over, so the account was not opened.",
        "Please sign up again; you will get a new e-mail.",
    ),
    status=410,
)
_STOPPED = Outcome(
    "This sign-up was stopped",
    (
        "It was called off before the e-mail address was confirmed, so no account was opened.",
        "If you still want one, please sign up again.",
    ),
    status=410,
)
_FAILED = Outcome(
    "Your account could not be opened",
    ("Something went wrong on our side. Please sign up again; you will get a new e-mail.",),
    status=410,
)
_UNKNOWN = Outcome(
    "This link does not work any more",
    (
        "If you have confirmed your e-mail address before, there is nothing more to do.",
        "If not, please sign up again; you will get a new e-mail.",
    ),
    status=404,
)
_WRONG = Outcome(
    "This link is not the right one",
    (
        "Please press the button in the newest e-mail that you got from us.",
        "If that does not help, you can have a new e-mail.",
    ),
    Offer.MAIL,
)
_LOCKED = Outcome(
    "This link is locked",
    (
        "There were too many tries with wrong links, so confirming was paused to protect you.",
        "With a new e-mail you can go on.",
    ),
    Offer.MAIL,
    403,
)
_NO_MORE_MAILS = Outcome(
    "No more e-mails can be sent",
    (
        "You have had all the e-mails that we can send for this sign-up.",
        "Please look for them, also among spam, and use the newest one; or sign up again later.",
    ),
)
_NOT_YET = Outcome(
    "Just a moment",
    ("We are not quite ready. Please wait a minute and press the button again.",),
    Offer.CONFIRM,
    503,
)
_BUSY = Outcome(
    "That was a little too fast",
    ("Please wait a minute and press the button again.",),
    Offer.CONFIRM,
)
_LATER = Outcome(
    "Please try again in a minute",
    ("We cannot be reached at the moment. Your link stays good; nothing is lost.",),
    Offer.CONFIRM,
)
_BROKEN = Outcome(
    "Something went wrong on our side",
    ("Please try again. If it happens again, tell the site where you signed up.",),
    Offer.CONFIRM,
    500,
)

_OUTCOMES: dict[int, Outcome] = {
    Reason.REASON_ALREADY_VERIFIED: CONFIRMED,
    Reason.REASON_INVALID_ARGUMENT: INCOMPLETE,
    Reason.REASON_MESSAGE_TOO_LARGE: INCOMPLETE,
    Reason.REASON_OPERATION_NOT_FOUND: _UNKNOWN,
    Reason.REASON_OPERATION_CANCELLING: _STOPPED,
    Reason.REASON_TOKEN_WRONG: _WRONG,
    Reason.REASON_VERIFICATION_LOCKED: _LOCKED,
    Reason.REASON_RESEND_LIMIT: _NO_MORE_MAILS,
    Reason.REASON_VERIFICATION_NOT_READY: _NOT_YET,
    Reason.REASON_RATE_LIMITED: _BUSY,
    Reason.REASON_DEADLINE_TOO_SHORT: _LATER,
}
_ENDINGS: dict[str, Outcome] = {
    "VERIFICATION_EXPIRED": _TOO_LATE,
    "OPERATION_EXPIRED": _TOO_LATE,
    "OPERATION_CANCELLED": _STOPPED,
    "OPERATION_TERMINATED": _STOPPED,
}


def outcome_of(fault: Fault) -> Outcome:
    """The page for a call that was refused; some refusals are good news."""
    if fault.reason == Reason.REASON_OPERATION_DONE:
        return _ending(fault.metadata)
    known = _OUTCOMES.get(fault.reason)
    if known is not None:
        return known
    return _LATER if fault.entry.retryable else _BROKEN


def _ending(metadata: dict[str, str]) -> Outcome:
    """The page for an operation that has ended."""
    if metadata.get("state") == "SUCCEEDED":
        return CONFIRMED
    if "reason" in metadata:
        return _ENDINGS.get(metadata["reason"], _FAILED)
    return _UNKNOWN
