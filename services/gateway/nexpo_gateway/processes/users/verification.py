"""Where the verification of one e-mail address stands."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

WRONG_TOKENS = 5
RESENDS = 3


class Verification:
    """Counts wrong tokens and resends; any token that was sent and has not expired is right.

    Args:
        verified: Called once, at the moment when the address is verified.

    Attributes:
        done: Whether the address is verified.
        sending: Whether a mail is on its way, so that its token is not known here yet.
    """

    def __init__(self, verified: Callable[[], None]) -> None:
        self._verified = verified
        self._digests: list[str] = []
        self._wrong = 0
        self.done = False
        self.sending = False
        self.resends_asked = 0
        self.resends_sent = 0

    def sent(self, digest: str) -> None:
        """A mail with the token of this SHA-256 (hex) was sent."""
        self._digests.append(digest)

    def resend_due(self) -> bool:
        """Whether a mail was asked for and not sent yet."""
        return self.resends_asked > self.resends_sent

    def check_open(self) -> None:
        """Raises: Fault: The address is verified, or no token was sent yet."""
        if self.done:
            raise Fault(Reason.REASON_ALREADY_VERIFIED)
        if not self._digests:
            raise _not_ready("No verification e-mail was sent yet.")

    def check_unlocked(self) -> None:
        """Raises: Fault: VERIFICATION_LOCKED after too many wrong tokens."""
        if self._wrong >= WRONG_TOKENS:
            raise Fault(Reason.REASON_VERIFICATION_LOCKED, "Too many wrong tokens.")

    def check_token(self, digest: str) -> None:
        """Raises: Fault: VERIFICATION_NOT_READY: the token may count once a mail was sent."""
        if self.sending and not self._knows(digest):
            # A mail may be read before its sending was reported: its token is not known yet.
            raise _not_ready("A verification e-mail is being sent.")

    def check_resend(self) -> None:
        """Raises: Fault: RESEND_LIMIT when no more mails can be asked for."""
        if self.resends_asked >= RESENDS:
            raise Fault(Reason.REASON_RESEND_LIMIT, f"At most {RESENDS} e-mails can be asked for.")

    def verify(self, digest: str) -> None:
        """Compares; counts a wrong token. Raises: Fault: TOKEN_WRONG."""
        self.check_open()
        self.check_unlocked()
        if not self._knows(digest):
            self._wrong += 1
            left = WRONG_TOKENS - self._wrong
            raise Fault(
                Reason.REASON_TOKEN_WRONG,
                "The token is wrong.",
                metadata={"attempts_left": str(left)},
            )
        self.done = True
        self._verified()

    def _knows(self, digest: str) -> bool:
        return any(hmac.compare_digest(digest, known) for known in self._digests)

    def resend(self) -> int:
        """Asks for another mail and unlocks; how many more there are."""
        self.check_open()
        self.check_resend()
        self.resends_asked += 1
        self._wrong = 0
        return RESENDS - self.resends_asked


def _not_ready(why: str) -> Fault:
    return Fault(Reason.REASON_VERIFICATION_NOT_READY, why)
