"""What leaves the gateway when a call fails: always a fault of the catalogue."""

from __future__ import annotations

from dataclasses import replace

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime import logs, telemetry
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.failures import INTERNAL_MESSAGE, fault_from

from ..validation import MOST_VIOLATIONS, OMITTED

UNKNOWN = "unknown"
"""What is logged for a method that does not exist: its name is the caller's to choose."""

# gRPC carries an error in its trailers, of which clients take 8 KiB: as base64, beside the
# message once more, percent-encoded. Half of that is left for what else is there.
_MOST_BYTES = 3000
_LONGEST_MESSAGE = 400
_LONGEST_FIELD = 160
_LONGEST_DESCRIPTION = 320
_LONGEST_METADATA = 512
_MOST_METADATA = 8

_log = logs.get(__name__)


def presentable(error: Exception, method: str) -> Fault:
    """The fault that the caller sees; a bug is logged here and shown as INTERNAL.

    Args:
        error: What ended the call.
        method: What was called, for the log.
    """
    fault = fault_from(error)
    if fault.reason == Reason.REASON_INTERNAL:
        _log.error("call failed by a bug", method=method, exc_info=error)
        # A worker's INTERNAL may carry more than its text; none of it is for callers.
        fault = Fault(Reason.REASON_INTERNAL, INTERNAL_MESSAGE)
    fault = bounded(fault)
    trace = telemetry.trace_id()
    if trace:
        fault.metadata = {**fault.metadata, "trace_id": trace}
    return fault


def bounded(fault: Fault) -> Fault:
    """The fault with no more text than every surface can carry.

    Its reason always stays. Of its violations the first twenty do at most, as many
    as have room; how many more there were is in its metadata.
    """
    left = _MOST_BYTES
    shown: list[FieldViolation] = []
    for violation in fault.fields[:MOST_VIOLATIONS]:
        cut = FieldViolation(
            _cut(violation.field, _LONGEST_FIELD),
            _cut(violation.description, _LONGEST_DESCRIPTION),
        )
        left -= len(cut.field.encode()) + len(cut.description.encode())
        if left < 0:
            break
        shown.append(cut)
    metadata = {
        _cut(name, _LONGEST_METADATA): _cut(value, _LONGEST_METADATA)
        for name, value in list(fault.metadata.items())[:_MOST_METADATA]
    }
    omitted = len(fault.fields) - len(shown)
    if omitted:
        before = metadata.get(OMITTED, "0")
        metadata[OMITTED] = str(omitted + (int(before) if before.isdecimal() else 0))
    return replace(
        fault, message=_cut(fault.message, _LONGEST_MESSAGE), fields=shown, metadata=metadata
    )


def _cut(text: str, most: int) -> str:
    """At most so many bytes of the text, with an ellipsis for the rest."""
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= most:
        return raw.decode()
    return raw[: most - 3].decode("utf-8", "ignore") + "\u2026"
