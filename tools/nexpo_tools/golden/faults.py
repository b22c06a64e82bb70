"""Faults on their way through Temporal and gRPC, and what others send instead."""

from __future__ import annotations

from datetime import timedelta

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.registry import PROTOCOL
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.failures import STATUS_TRAILER, fault_from, to_application_error
from nexpo_runtime.temporal.converter import PayloadConverter
from nexpo_tools.golden.shown import Vector, base64_of, binary, shown

_FAULTS = [
    (Fault(Reason.REASON_EMAIL_TAKEN, "ada@… is taken.", attempt=1), False),
    (
        Fault(
            Reason.REASON_STORE_THROTTLED,
            "The store asks for fewer requests.",
            fields=[FieldViolation("profile.locale", "is no language")],
            retry_after=timedelta(seconds=7, milliseconds=500),
            metadata={"store": "COSMOSDB", "région": "üb"},
            attempt=3,
        ),
        False,
    ),
    (Fault(Reason.REASON_RATE_LIMITED, "Wait.", retry_after=timedelta(hours=1), attempt=2), False),
    (Fault(Reason.REASON_STORE_REFUSED, "Refused.", attempt=12), True),
    (Fault(Reason.REASON_INTERNAL, "Something went wrong inside Nexpo.", attempt=1), False),
]


def _fault(fault: Fault, persistent: bool) -> Vector:
    """A fault, and how it travels."""
    error = to_application_error(fault, persistent=persistent)
    failure = Failure()
    DefaultFailureConverterWithEncodedAttributes().to_failure(error, PayloadConverter(), failure)
    info = failure.application_failure_info
    status = fault.to_status()
    return {
        "fault": shown_fault(fault),
        "unlimited_attempts": persistent,
        "status": binary(status),
        "grpc_code": status.code,
        "failure": binary(failure),
        "type": info.type,
        "non_retryable": info.non_retryable,
        "next_retry_delay": info.next_retry_delay.ToTimedelta().total_seconds() or None,
        "details": [shown(payload) for payload in info.details.payloads],
    }


def shown_fault(fault: Fault) -> Vector:
    """A fault as the vectors show it; retry_after in seconds."""
    return {
        "reason": fault.name,
        "message": fault.message,
        "fields": [{"field": v.field, "description": v.description} for v in fault.fields],
        "retry_after": fault.retry_after and fault.retry_after.total_seconds(),
        "metadata": dict(sorted(fault.metadata.items())),
        "attempt": fault.attempt,
    }


def faults() -> list[Vector]:
    """Faults, each with its status and its failure."""
    return [_fault(fault, persistent) for fault, persistent in _FAULTS]


def failures() -> list[Vector]:
    """Failures of an activity that others write, and the fault that each is."""
    return [_failure(what, failure) for what, failure in _failures().items()]


def _of_another_domain() -> Status:
    return _status("EMAIL_TAKEN", "example.com")


def _status(reason: str, domain: str) -> Status:
    """A status that the runtime never makes."""
    status = Status(code=code_pb2.ALREADY_EXISTS, message="canary")
    status.details.add().Pack(ErrorInfo(reason=reason, domain=domain))
    return status


def _failures() -> dict[str, Failure]:
    """Failures that others write, by what they are."""
    found = {
        "a reason without a status": _application("EMAIL_TAKEN"),
        "a bug": _application("ValueError"),
        "no type": _application(""),
        "the reason that is never sent": _application("UNSPECIFIED"),
        "an activity unknown in Python or TypeScript": _application("NotFoundError"),
        "an activity unknown in Go": _application("ActivityNotRegisteredError"),
        "a status of another domain": _application("EMAIL_TAKEN", _of_another_domain()),
        "a reason of a newer catalogue": _application(
            "EMAIL_OLD", _status("EMAIL_OLD", PROTOCOL.error_domain)
        ),
    }
    for name in ("START_TO_CLOSE", "SCHEDULE_TO_START", "SCHEDULE_TO_CLOSE", "HEARTBEAT"):
        failure = Failure(message="canary")
        failure.timeout_failure_info.timeout_type = TimeoutType.Value(f"TIMEOUT_TYPE_{name}")
        found[f"time-out {name}"] = failure
    for part in ("canceled_failure_info", "terminated_failure_info"):
        failure = Failure(message="canary")
        getattr(failure, part).SetInParent()
        found[part.partition("_")[0]] = failure
    return found


def _application(type_: str, *details: Message) -> Failure:
    failure = Failure(message="canary")
    failure.application_failure_info.type = type_
    failure.application_failure_info.details.payloads.extend(
        PayloadConverter().to_payloads(details)
    )
    return failure


def _failure(what: str, failure: Failure) -> Vector:
    wrapped = Failure(message="activity failed", cause=failure)
    wrapped.activity_failure_info.activity_type.name = "nexpo.health.v1.Probe"
    converter = DefaultFailureConverterWithEncodedAttributes()
    fault = fault_from(converter.from_failure(wrapped, PayloadConverter()))
    return {"what": what, "failure": binary(wrapped), "fault": shown_fault(fault)}


def grpc_answers() -> list[Vector]:
    """Statuses of gRPC calls that failed, and the fault that each is."""
    cases: dict[str, tuple[str, bytes | None]] = {
        name: (name, None)
        for name in (
            *("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"),
            *("INTERNAL", "UNKNOWN", "INVALID_ARGUMENT", "UNAUTHENTICATED"),
        )
    }
    cases["a fault"] = (
        "ALREADY_EXISTS",
        Fault(Reason.REASON_EMAIL_TAKEN).to_status().SerializeToString(),
    )
    cases["a status of another domain"] = (
        "ALREADY_EXISTS",
        _of_another_domain().SerializeToString(),
    )
    cases["a status without details"] = (
        "UNAVAILABLE",
        Status(code=14, message="canary").SerializeToString(),
    )
    cases["bytes that are no status"] = ("UNAVAILABLE", b"\xff\xff")
    return [_answer(what, *case) for what, case in cases.items()]


def _answer(what: str, code: str, trailer: bytes | None) -> Vector:
    trailers = grpc.aio.Metadata(*([] if trailer is None else [(STATUS_TRAILER, trailer)]))
    error = grpc.aio.AioRpcError(grpc.StatusCode[code], grpc.aio.Metadata(), trailers, "canary")
    return {
        "what": what,
        "code": code,
        "trailer": None if trailer is None else base64_of(trailer),
        "fault": shown_fault(fault_from(error)),
    }
