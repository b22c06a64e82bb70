"""Page tokens: a place in a tenant's list that only this service can name."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.rows import Place
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.tenant import Signer

_SCOPE = "nexpo.users.v1.ListUsers"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class PageTokens:
    """Writes and reads tokens `base64url(signature.microseconds.user_id)`.

    The signature covers the list, the place and the tenant, so a token that was
    changed, made up, or taken from another tenant or list is refused.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def behind(self, tenant: str, place: Place) -> str:
        """The token of the page behind the place."""
        text = f"{(place.time - _EPOCH) // _MICROSECOND}.{place.id}"
        signature = self._signer.signature(f"{_SCOPE}/{text}", tenant)
        return base64.urlsafe_b64encode(f"{signature}.{text}".encode()).decode().rstrip("=")

    def read(self, tenant: str, token: str) -> Place:
        """The place that the token names. Raises: Fault: INVALID_PAGE_TOKEN."""
        try:
            padded = token.encode() + b"=" * (-len(token) % 4)
            decoded = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
            signature, text = decoded.split(".", 1)
            micros, user_id = text.split(".", 1)
            place = Place(_EPOCH + int(micros) * _MICROSECOND, user_id)
        except (binascii.Error, ValueError, OverflowError):
            raise _refused() from None
        if not self._signer.valid(f"{_SCOPE}/{text}", tenant, signature):
            raise _refused()
        return place


def _refused() -> Fault:
    return Fault(
        Reason.REASON_INVALID_PAGE_TOKEN,
        "The page token was not made for this list.",
        fields=[FieldViolation("page_token", "must come from the previous page")],
    )
