"""Checks the signature of a request.

Protocol: "Access control in the Azure Cosmos DB API for NoSQL", Microsoft Learn: an
HMAC-SHA256 with the account's key over verb, resource type, resource link and date.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote

from nexpo_standins.cosmosdb.refusals import Refusal

_SKEW = timedelta(minutes=15)


class Auth:
    """The account's key.

    Args:
        key: In base64, as the portal shows it.

    Raises:
        ValueError: It is not base64.
    """

    def __init__(self, key: str) -> None:
        self._key = base64.b64decode(key, validate=True)
        self._bearer = f"Bearer {key}"

    def check(self, verb: str, kind: str, link: str, headers: Mapping[str, str]) -> None:
        """Refuses a request that the key did not sign now.

        Args:
            verb: "GET", ...
            kind: Resource type: "", "dbs", "colls", "docs", "pkranges".
            link: Resource link: "dbs/nexpo/colls/users".
            headers: The request's.

        Raises:
            Refusal: 401 or 403.
        """
        date = headers.get("x-ms-date", "")
        token = headers.get("authorization")
        if not token:
            raise Refusal(401, "Required Header authorization is missing.")
        fields = dict(parse_qsl(unquote(token).replace("+", "%2B"), keep_blank_values=True))
        payload = f"{verb}\n{kind}\n{link}\n{date}\n\n"
        signed = f"{verb.lower()}\n{kind}\n{link}\n{date.lower()}\n\n"
        digest = hmac.new(self._key, signed.encode(), hashlib.sha256).digest()
        expected = base64.b64encode(digest).decode()
        right = fields.get("type") == "master" and fields.get("ver") == "1.0"
        if not right or not hmac.compare_digest(fields.get("sig", "").encode(), expected.encode()):
            raise Refusal(
                401,
                "The input authorization token can't serve the request. Please check that the"
                " expected payload is built as per the protocol, and check the key being used."
                f" Server used the following payload to sign: {payload!r}",
            )
        self._check_clock(date)

    def check_bearer(self, headers: Mapping[str, str]) -> None:
        """Refuses a request to the fault end point without `authorization: Bearer <key>`."""
        given = headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), self._bearer.encode()):
            raise Refusal(401, "Send 'authorization: Bearer <the account's key>'.")

    @staticmethod
    def _check_clock(date: str) -> None:
        try:
            age = abs(datetime.now(UTC) - parsedate_to_datetime(date))
        except (ValueError, TypeError):
            raise Refusal(401, "The x-ms-date header is not a date.") from None
        if age > _SKEW:
            raise Refusal(
                403, "The authorization token is not valid at the current time: check the clock."
            )
