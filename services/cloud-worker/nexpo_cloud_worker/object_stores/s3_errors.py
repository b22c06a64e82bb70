"""Errors of the S3 API and its SDK as faults of the catalogue.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from datetime import timedelta

from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

_PASSING = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)
"""Codes that another try may mend, whatever their status."""

_FINAL = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket"})
"""Codes that stay until someone does something about them."""

_SLOW_DOWN = timedelta(seconds=1)


def code_of(error: ClientError) -> str:
    """The error's code, such as NoSuchBucket; the HTTP status for an answer without a body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The error's HTTP status; 0 when it has none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def fault_of(error: Exception) -> Fault:
    """What an exception of the SDK means.

    Only an answer of the storage can refuse for good, or the SDK itself before
    it sends. No connection, silence, and answers that the SDK cannot read may pass.
    """
    if isinstance(error, ClientError):
        return fault_of_code(code_of(error), status_of(error))
    if isinstance(error, ParamValidationError | NoCredentialsError):
        return _refused({})
    return Fault(Reason.REASON_OBJECT_STORE_UNAVAILABLE, "The object storage cannot be reached.")


def fault_of_code(code: str, status: int) -> Fault:
    """What an error's code and HTTP status (0 when it has none) mean."""
    facts = {"code": code} if code.isalnum() else {}
    final = code in _FINAL or (400 <= status < 500 and status not in (408, 409, 429))
    if final and code not in _PASSING:
        return _refused(facts)
    return Fault(
        Reason.REASON_OBJECT_STORE_UNAVAILABLE,
        "The object storage cannot serve now.",
        retry_after=_SLOW_DOWN if status in (429, 503) else None,
        metadata=facts,
    )


def _refused(facts: dict[str, str]) -> Fault:
    return Fault(
        Reason.REASON_OBJECT_STORE_REFUSED,
        "The object storage refused the request.",
        metadata=facts,
    )
