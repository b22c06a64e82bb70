"""What leaves the gateway when a call fails: always a fault of the catalogue."""

from __future__ import annotations

from dataclasses import replace

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation, internal
from nexpo_runtime.failures import fault_from
from nexpo_runtime.telemetry import logs, tracing

from ..content.validation import MOST_VIOLATIONS, OMITTED

UNKNOWN = "unknown"
"""What is logged for a method that does not exist: its name is the caller's to choose."""

# gRPC carries an error in its trailers, of which clients take 8 KiB: as base64, beside the
# message once more, percent-encoded. Some of that is left for what else is there.
_ROOM_FOR_METADATA = 1100
_ROOM_FOR_FIELDS = 2400
_LONGEST_MESSAGE = 400
_LONGEST_FIELD = 160
_LONGEST_DESCRIPTION = 320
_LONGEST_METADATA = 512

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
        fault = internal()
    fault = bounded(fault)
    trace = tracing.trace_id()
    if trace:
        fault.metadata = {**fault.metadata, "trace_id": trace}
    return fault


def bounded(fault: Fault) -> Fault:
    """The fault with no more text than every surface can carry.

    Its reason always stays. Of its violations the first twenty do at most, as many
    as have room; how many more there were is in its metadata.
    """
    room = _Room(_ROOM_FOR_METADATA)
    message = _cut(fault.message, _LONGEST_MESSAGE)
    metadata: dict[str, str] = {}
    for name, value in fault.metadata.items():
        value = _cut(value, _LONGEST_METADATA)
        if room.has(name, value):
            metadata[name] = value
    room = _Room(_ROOM_FOR_FIELDS)
    shown: list[FieldViolation] = []
    for violation in fault.fields[:MOST_VIOLATIONS]:
        field = _cut(violation.field, _LONGEST_FIELD)
        description = _cut(violation.description, _LONGEST_DESCRIPTION)
        if not room.has(field, description):
            break
        shown.append(FieldViolation(field, description))
    omitted = len(fault.fields) - len(shown)
    if omitted:
        before = metadata.get(OMITTED, "0")
        metadata[OMITTED] = str(omitted + (int(before) if before.isdecimal() else 0))
    return replace(fault, message=message, fields=shown, metadata=metadata)


class _Room:
    """What is left of so many bytes."""

    def __init__(self, bytes_left: int) -> None:
        self._left = bytes_left

    def has(self, *texts: str) -> bool:
        """Takes the room for all of the texts, if there is so much."""
        size = sum(len(text.encode("utf-8", "backslashreplace")) for text in texts)
        if size > self._left:
            return False
        self._left -= size
        return True


def _cut(text: str, most: int) -> str:
    """At most so many bytes of the text, with an ellipsis for the rest."""
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= most:
        return raw.decode()
    return raw[: most - 3].decode("utf-8", "ignore") + "\u2026"
