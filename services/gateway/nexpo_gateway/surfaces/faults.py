"""What leaves the gateway when a call fails: always a fault of the catalogue."""

from __future__ import annotations

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime import logs, telemetry
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import INTERNAL_MESSAGE, fault_from

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
    trace = telemetry.trace_id()
    if trace:
        fault.metadata = {**fault.metadata, "trace_id": trace}
    return fault
