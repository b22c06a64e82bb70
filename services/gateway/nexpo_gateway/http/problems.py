"""Faults as HTTP problems (RFC 9457)."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

from google.rpc import code_pb2
from starlette.responses import JSONResponse

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

from ..content.validation import OMITTED

# google/rpc/code.proto says which HTTP status each code maps to.
_STATUS: dict[int, int] = {
    code_pb2.CANCELLED: 499,
    code_pb2.UNKNOWN: 500,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.INTERNAL: 500,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DATA_LOSS: 500,
}
_OWN_STATUS: dict[int, int] = {
    Reason.REASON_UNKNOWN_METHOD: 404,
    Reason.REASON_METHOD_NOT_ALLOWED: 405,
    Reason.REASON_MESSAGE_TOO_LARGE: 413,
}
CONTENT_TYPE = "application/problem+json"


def http_status(fault: Fault) -> int:
    """The HTTP status of a fault."""
    return _OWN_STATUS.get(fault.reason) or _STATUS.get(fault.entry.code, 500)


def problem(fault: Fault) -> dict[str, Any]:
    """The problem's members: those of RFC 9457, and reason, hint, errors, retry_after, trace_id,
    and what else a program may want to know as metadata, as gRPC's ErrorInfo has it."""
    status = http_status(fault)
    content: dict[str, Any] = {
        "type": f"urn:nexpo:reason:{fault.name}",
        "title": fault.name.replace("_", " ").capitalize(),
        "status": status,
        "detail": fault.message,
        "reason": fault.name,
        "hint": fault.entry.hint,
    }
    if fault.fields:
        content["errors"] = [
            {"field": violation.field, "description": violation.description}
            for violation in fault.fields
        ]
    if OMITTED in fault.metadata:
        content[OMITTED] = int(fault.metadata[OMITTED])
    if fault.retry_after is not None:
        content["retry_after"] = fault.retry_after.total_seconds()
    facts = dict(fault.metadata)
    facts.pop(OMITTED, None)
    trace = facts.pop("trace_id", "")
    if trace:
        content["trace_id"] = trace
    if facts:
        content["metadata"] = facts
    return content


def problem_response(fault: Fault) -> JSONResponse:
    """The response that shows a fault."""
    status = http_status(fault)
    headers: dict[str, str] = {"cache-control": "no-store"}
    if fault.retry_after is not None:
        headers["retry-after"] = str(math.ceil(fault.retry_after.total_seconds()))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = fault.metadata.get("allow", "")
    return JSONResponse(problem(fault), status, headers=headers, media_type=CONTENT_TYPE)


def malformed(status: int) -> tuple[str, bytes]:
    """Content type and body of the answer to what is no HTTP request, or has too large a head."""
    too_large = status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    what = "has a head that is too large" if too_large else "cannot be read as HTTP"
    fault = Fault(Reason.REASON_INVALID_ARGUMENT, f"The request {what}.")
    return CONTENT_TYPE, json.dumps({**problem(fault), "status": status}).encode()
