"""The service's error answers: status, substatus, code, and the texts that clients see.

Source of statuses: "HTTP status codes for Azure Cosmos DB", Microsoft Learn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    410: "Gone",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    424: "FailedDependency",
    429: "TooManyRequests",
    449: "RetryWith",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


@dataclass(eq=False)
class Refusal(Exception):
    """An error answer.

    Attributes:
        status: HTTP status.
        text: What went wrong.
        substatus: The service's finer code; 0 for none.
        headers: Headers that only this answer has.
    """

    status: int
    text: str
    substatus: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The name of the status in the body."""
        return CODES.get(self.status, "Error")

    def body(self, activity: str) -> bytes:
        """The JSON body, in the gateway's format."""
        errors = json.dumps({"Errors": [self.text]}, separators=(",", ":"))
        message = f"Message: {errors}\r\nActivityId: {activity}, stand-in"
        return json.dumps({"code": self.code, "message": message}).encode()


def bad_request(text: str, substatus: int = 0) -> Refusal:
    """400."""
    return Refusal(400, text, substatus)


def not_found(substatus: int = 0) -> Refusal:
    """404; substatus 1003 when it is the owner that is missing."""
    text = "Owner resource does not exist" if substatus == 1003 else "Resource Not Found."
    return Refusal(404, text, substatus)


def id_conflict() -> Refusal:
    """409: the id exists."""
    return Refusal(409, "Resource with specified id or name already exists.")


def unique_conflict() -> Refusal:
    """409: another item of the logical partition has the unique value."""
    return Refusal(409, "Unique index constraint violation.")


def precondition_failed() -> Refusal:
    """412: If-Match names another etag."""
    return Refusal(412, "One of the specified pre-condition is not met")


def wrong_partition() -> Refusal:
    """400/1001: header and document name different partition keys."""
    return bad_request(
        "PartitionKey extracted from document doesn't match the one specified in the header",
        1001,
    )
