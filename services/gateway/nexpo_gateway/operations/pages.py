"""Page tokens: signed, so that nobody can make one up or carry it to another list."""

from __future__ import annotations

import base64
import binascii
import hmac

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

_MAC_BYTES = 16


class PageTokens:
    """Signs and opens the page tokens of the gateway's own lists."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """Signs with the first key, accepts all."""
        self._keys = keys

    def seal(self, content: bytes, *scope: str) -> str:
        """The token for a place in the list that `scope` stands for; "" for none."""
        if not content:
            return ""
        return base64.urlsafe_b64encode(self._mac(self._keys[0], content, scope) + content).decode()

    def open(self, token: str, *scope: str) -> bytes:
        """The place. Raises: Fault: INVALID_PAGE_TOKEN: changed, or another list's."""
        if not token:
            return b""
        try:
            raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError, ValueError):
            raise _invalid() from None
        mac, content = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, self._mac(key, content, scope)) for key in self._keys):
            raise _invalid()
        return content

    @staticmethod
    def _mac(key: bytes, content: bytes, scope: tuple[str, ...]) -> bytes:
        parts = [b"page", *(part.encode() for part in scope), content]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(key, message, "sha256")[:_MAC_BYTES]


def _invalid() -> Fault:
    return Fault(
        Reason.REASON_INVALID_PAGE_TOKEN,
        "The page token is not one of this list.",
        fields=[FieldViolation("page_token", "is not a token of this list")],
    )
