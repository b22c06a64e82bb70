"""What comes with an HTTP request beside its body: path, query, deadline, headers."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.types import Scope

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

from ..content.validation import invalid
from ..context import CallContext

# As in gRPC over HTTP/2, "Timeout".
_TIMEOUT = re.compile(r"^(\d{1,8})([HMSmun])$")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_QUERY_FIELDS = 200


def call_context(request: Request) -> CallContext:
    """What comes with an HTTP request beside its message."""
    headers = {key.lower(): value for key, value in request.headers.items()}
    return CallContext(headers, request.client.host if request.client else "unknown")


def apply_timeout(context: CallContext) -> None:
    """Sets the deadline of the header grpc-timeout. Raises: Fault: INVALID_ARGUMENT."""
    timeout = context.headers.get("grpc-timeout")
    if timeout is None:
        return
    match = _TIMEOUT.match(timeout)
    if match is None:
        raise invalid([FieldViolation("grpc-timeout", "must be a number and a unit such as 5S")])
    context.deadline = time.monotonic() + int(match[1]) * _UNITS[match[2]]


def raw_path(scope: Scope) -> str:
    """The path as it was sent, still percent-encoded."""
    raw: bytes = scope.get("raw_path", scope["path"].encode())
    return raw.decode("latin-1")


def read_query(request: Request) -> list[tuple[str, str]]:
    """The query's fields. Raises: Fault: INVALID_ARGUMENT: not UTF-8, or too many."""
    try:
        return parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_QUERY_FIELDS,
        )
    except (UnicodeDecodeError, ValueError):
        raise Fault(Reason.REASON_INVALID_ARGUMENT, "The query cannot be read.") from None
