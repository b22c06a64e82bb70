"""What Temporal holds of an operation and nobody can read: it is told, and breaks no list.

A key that was dropped too early, a payload of another version or of another program.
"""

from __future__ import annotations

import time

from google.protobuf.message import DecodeError, Message
from temporalio.exceptions import TemporalError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, reason_name
from nexpo_runtime.telemetry import logs
from nexpo_runtime.telemetry.metrics import UNREADABLE

REASON = reason_name(Reason.REASON_RECORD_UNREADABLE)

_REPEAT_S = 60.0
_log = logs.get(__name__)
_logged: dict[str, float] = {}


def is_unreadable(error: Exception) -> bool:
    """Whether the error comes of decoding: it is no answer of Temporal's and no fault."""
    return not isinstance(error, Fault | TemporalError | TimeoutError | OSError)


def report(workflow_id: str, part: str, error: Exception) -> None:
    """Counts it, and logs it once a minute; without the error's text, which may quote data."""
    UNREADABLE.labels("operation").inc()
    key, now = f"{workflow_id} {part}", time.monotonic()
    if now - _logged.get(key, -_REPEAT_S) >= _REPEAT_S:
        if len(_logged) > 1000:
            _logged.clear()
        _logged[key] = now
        kind = type(error).__name__
        _log.error("an operation cannot be read", workflow_id=workflow_id, part=part, error=kind)


def outcome_unreadable() -> Fault:
    """The outcome is there, and cannot be read."""
    return Fault(Reason.REASON_RECORD_UNREADABLE, "The operation's outcome cannot be read.")


def carriable(message: Message) -> bool:
    """Whether readers of protobuf, which stop at 100 messages in each other, can read it."""
    try:
        type(message).FromString(message.SerializeToString())
    except DecodeError:
        return False
    return True
