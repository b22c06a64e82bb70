"""Error answers of the Messages API.

Shapes and types: https://docs.claude.com/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping

ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""What `error.type` says for each HTTP status."""

MESSAGES: Mapping[int, str] = {
    401: "invalid x-api-key",
    402: "Your credit balance is too low to access the Anthropic API.",
    403: "Your API key does not have permission to use the specified resource.",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your organization's rate limit.",
    500: "Internal server error",
    503: "Service unavailable",
    504: "Request timed out",
    529: "Overloaded",
}
"""What `error.message` says when nothing more precise is known."""


class ApiError(Exception):
    """An error that the API answers with.

    Attributes:
        status: HTTP status.
        message: For `error.message`.
        code: For `error.details.error_code`, or None.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str = "",
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.message = message or MESSAGES.get(status, "Invalid request")
        self.code = code
        self.headers = dict(headers or {})
        super().__init__(self.message)

    def body(self, request_id: str) -> dict[str, object]:
        """The answer's JSON body."""
        error: dict[str, object] = {
            "type": ERROR_TYPES.get(self.status, "api_error"),
            "message": self.message,
        }
        if self.code is not None:
            error["details"] = {"error_code": self.code}
        return {"type": "error", "error": error, "request_id": request_id}
