"""Between faults of the catalogue and the exceptions of Temporal, gRPC and Python."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from temporalio import client as temporal_client
from temporalio import exceptions as temporal
from temporalio.service import RPCError, RPCStatusCode

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.registry import PROTOCOL

from .errors import Fault, internal, reason_value

STATUS_TRAILER = "grpc-status-details-bin"
"""gRPC metadata that carries the google.rpc.Status, by convention of all gRPC libraries."""

TEMPORAL_RETRY_AFTER = timedelta(seconds=1)
_NOT_REGISTERED = ("NotFoundError", "ActivityNotRegisteredError")
"""Types of the failure with which a Temporal worker answers for an activity it does not
have: in Python and TypeScript, and in Go."""
_WRAPPERS = (
    temporal_client.WorkflowFailureError,
    temporal_client.WorkflowUpdateFailedError,
    temporal.ActivityError,
    temporal.ChildWorkflowError,
)


def to_application_error(fault: Fault, *, persistent: bool = False) -> temporal.ApplicationError:
    """The fault as Temporal records it: `type` is the reason's name, the first
    detail its google.rpc.Status, the second the attempt's number.

    Args:
        fault: What went wrong.
        persistent: The call is retried without limit, so also after a fault that
            another call would not retry: an undo must not give up.
    """
    return temporal.ApplicationError(
        fault.message,
        fault.to_status(),
        fault.attempt,
        type=fault.name,
        non_retryable=not (persistent or fault.entry.retryable),
        next_retry_delay=retry_delay(fault),
    )


def retry_delay(fault: Fault) -> timedelta | None:
    """The pause that the fault asks for, in place of the retry policy's; None: it asks for none."""
    longest = PROTOCOL.longest_retry_delay.ToTimedelta()
    return min(fault.retry_after, longest) if fault.retry_after else None


def fault_from(error: BaseException) -> Fault:
    """What an exception means to a user.

    Walks through the wrappers of Temporal and gRPC to the cause. The text of an
    exception that is not of the catalogue never gets into the fault.
    """
    while isinstance(error, _WRAPPERS) and error.cause is not None:
        error = error.cause
    match error:
        case Fault():
            return error
        case temporal.ApplicationError():
            return _from_application_error(error)
        case temporal.TimeoutError():
            return _from_temporal_timeout(error)
        case temporal.TerminatedError():
            return Fault(
                Reason.REASON_OPERATION_TERMINATED, "The operation was ended from outside."
            )
        case temporal.CancelledError() | asyncio.CancelledError():
            return Fault(Reason.REASON_OPERATION_CANCELLED, "The operation was cancelled.")
        case RPCError():
            return _from_temporal_rpc(error)
        case temporal_client.RPCTimeoutOrCancelledError() | TimeoutError():
            return _deadline_exceeded()
        case grpc.RpcError():
            return _from_grpc(error)
        case _:
            return internal()


def temporal_unavailable() -> Fault:
    """Temporal cannot be reached; says when to try again."""
    return Fault(
        Reason.REASON_TEMPORAL_UNAVAILABLE,
        "Temporal cannot be reached now.",
        retry_after=TEMPORAL_RETRY_AFTER,
    )


def worker_unavailable(name: str) -> Fault:
    """No worker of this name answers."""
    message = f"No worker answers on {name}." if name else "No worker answers."
    return Fault(Reason.REASON_WORKER_UNAVAILABLE, message, retry_after=TEMPORAL_RETRY_AFTER)


def worker_outdated() -> Fault:
    """A worker answers and knows nothing of what the contract says is its own."""
    return Fault(
        Reason.REASON_WORKER_OUTDATED, "The worker that answered does not serve this call."
    )


def _deadline_exceeded() -> Fault:
    return Fault(
        Reason.REASON_DEADLINE_EXCEEDED,
        "The answer did not come in time; the call may still be applied.",
    )


def _from_application_error(error: temporal.ApplicationError) -> Fault:
    details = error.details
    if details and isinstance(details[0], status_pb2.Status):
        fault = Fault.from_status(details[0])
        if len(details) > 1 and isinstance(details[1], int):
            fault.attempt = details[1]
        return fault
    if error.type in _NOT_REGISTERED:
        return worker_outdated()
    reason = reason_value(error.type or "")
    return internal() if reason == Reason.REASON_INTERNAL else Fault(reason)


def _from_temporal_timeout(error: temporal.TimeoutError) -> Fault:
    if error.type == temporal.TimeoutType.SCHEDULE_TO_START:
        return worker_unavailable("")
    return _deadline_exceeded()


def _from_temporal_rpc(error: RPCError) -> Fault:
    match error.status:
        case RPCStatusCode.UNAVAILABLE:
            return temporal_unavailable()
        case RPCStatusCode.UNKNOWN if "transport error" in error.message:
            # The connection broke while a call was under way.
            return temporal_unavailable()
        case RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
            # A time-out of the client itself arrives as CANCELLED "Timeout expired".
            return _deadline_exceeded()
        case RPCStatusCode.RESOURCE_EXHAUSTED if "larger than max" in error.message:
            return Fault(Reason.REASON_MESSAGE_TOO_LARGE, "The message is too large.")
        case RPCStatusCode.RESOURCE_EXHAUSTED:
            return Fault(
                Reason.REASON_RATE_LIMITED,
                "Temporal asks for fewer calls.",
                retry_after=TEMPORAL_RETRY_AFTER,
            )
        case RPCStatusCode.NOT_FOUND if not error.message.lower().startswith("namespace"):
            return Fault(Reason.REASON_OPERATION_NOT_FOUND, "There is no such operation.")
        case RPCStatusCode.NOT_FOUND:
            # The namespace is gone: a server that was set up anew, or wrongly.
            return temporal_unavailable()
        case _:
            return internal()


def _from_grpc(error: grpc.RpcError) -> Fault:
    if not isinstance(error, (grpc.aio.AioRpcError, grpc.Call)):
        return internal()
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_TRAILER and isinstance(value, bytes):
            try:
                return Fault.from_status(status_pb2.Status.FromString(value))
            except DecodeError:
                return internal()
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return worker_unavailable("")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return _deadline_exceeded()
        case grpc.StatusCode.UNIMPLEMENTED:
            return worker_outdated()
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Fault(Reason.REASON_MESSAGE_TOO_LARGE, "The message is too large.")
        case _:
            return internal()
