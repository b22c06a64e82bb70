"""Errors of the Messages API as faults of the catalogue.

Statuses and types: https://docs.claude.com/en/api/errors
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

if TYPE_CHECKING:
    import anthropic

LONGEST_WAIT = timedelta(seconds=60)
"""A longer retry-after is cut to this: the step's own retries end before."""

_PASSING = frozenset({408, 409, 425, 429, 499})
"""Statuses below 500 that another try may mend."""

_STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "api_error": 500,
    "overloaded_error": 529,
}


def unavailable(message: str, retry_after: timedelta | None = None, **facts: str) -> Fault:
    """A fault that another try may mend."""
    return Fault(Reason.REASON_MODEL_UNAVAILABLE, message, retry_after=retry_after, metadata=facts)


def refused(message: str, **facts: str) -> Fault:
    """A fault that stays as long as the request stays."""
    return Fault(Reason.REASON_MODEL_REFUSED, message, metadata=facts)


def fault_of(error: Exception) -> Fault:
    """What an exception of the SDK means.

    Only a status says that trying again is of no use. Everything else (no
    connection, silence, an answer that the SDK cannot read) may pass.
    """
    import anthropic  # it is there: the error is one of its own

    if isinstance(error, anthropic.APIStatusError):
        return _of_status(error)
    if isinstance(error, TimeoutError | anthropic.APITimeoutError):
        return unavailable("Claude did not answer in time.")
    if isinstance(error, anthropic.APIConnectionError):
        return unavailable("Claude cannot be reached.")
    return unavailable("Claude's answer broke off or could not be read.")


def _of_status(error: anthropic.APIStatusError) -> Fault:
    status = error.status_code
    if status < 400:
        # An error event in a stream that began well: only its type tells.
        status = _STATUS_OF_TYPE.get(error.type or "", 500)
    facts = {"status": str(status)}
    if error.request_id:
        facts["request_id"] = error.request_id
    if (error.error_code or "").endswith("spend_limit_reached"):
        # The type is that of a rate limit, but it lasts until the month ends.
        return refused("The spending limit of the Claude account is reached.", **facts)
    if status >= 500 or status in _PASSING:
        wait = retry_after(error.response.headers)
        return unavailable("Claude is overloaded or out of order.", wait, **facts)
    return refused("Claude refused the request.", **facts)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> timedelta | None:
    """How long the headers ask to wait, at most LONGEST_WAIT; None when they do not.

    retry-after is seconds or a date (RFC 9110, 10.2.3); retry-after-ms is Anthropic's.
    """
    seconds = _number(headers.get("retry-after-ms"), scale=0.001)
    if seconds is None:
        seconds = _number(headers.get("retry-after"))
    if seconds is None and "retry-after" in headers:
        try:
            date = parsedate_to_datetime(headers["retry-after"])
        except ValueError:
            return None
        seconds = (date - (now or datetime.now(UTC))).total_seconds() if date.tzinfo else None
    if seconds is None or seconds <= 0:
        return None
    return timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds()))


def _number(value: str | None, scale: float = 1.0) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number * scale if math.isfinite(number) else None
