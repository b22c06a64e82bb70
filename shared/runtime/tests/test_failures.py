"""Faults survive the way through Temporal; everything else becomes a reason, without its text."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest
from temporalio import client, exceptions
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.service import RPCError, RPCStatusCode

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import CATALOGUE, Fault, FieldViolation
from nexpo_runtime.failures import fault_from, to_application_error
from nexpo_runtime.temporal.codec import EncryptionCodec
from nexpo_runtime.temporal.converter import PayloadConverter

CONVERTER = DataConverter(
    payload_converter_class=PayloadConverter,
    failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    payload_codec=EncryptionCodec({"k": os.urandom(32)}),
)
FAULT = Fault(
    Reason.REASON_STORE_THROTTLED,
    "The store asks for canary.",
    fields=[FieldViolation("profile.locale", "no such locale")],
    retry_after=timedelta(seconds=7),
    metadata={"store": "COSMOSDB"},
    attempt=3,
)


def activity_error(cause: BaseException) -> exceptions.ActivityError:
    error = exceptions.ActivityError(
        "activity failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="",
        activity_id="",
        retry_state=None,
    )
    error.__cause__ = cause
    return error


def timeout(kind: exceptions.TimeoutType) -> BaseException:
    return exceptions.TimeoutError("timed out", type=kind, last_heartbeat_details=[])


async def test_a_fault_survives_the_way_through_temporal_whole() -> None:
    failure = Failure()
    await CONVERTER.encode_failure(to_application_error(FAULT), failure)
    back = fault_from(activity_error(await CONVERTER.decode_failure(failure)))
    assert back is not FAULT
    for name in ("reason", "message", "retry_after", "metadata", "attempt"):
        assert getattr(back, name) == getattr(FAULT, name), name
    assert list(back.fields) == list(FAULT.fields)


async def test_in_history_only_the_reason_of_a_fault_is_clear() -> None:
    failure = Failure()
    await CONVERTER.encode_failure(to_application_error(FAULT), failure)
    assert failure.application_failure_info.type == "STORE_THROTTLED"
    raw = failure.SerializeToString()
    assert b"canary" not in raw
    assert b"COSMOSDB" not in raw
    assert b"locale" not in raw


@pytest.mark.parametrize("number", CATALOGUE)
def test_every_reason_is_retried_as_the_catalogue_says(number: int) -> None:
    reason = Reason.ValueType(number)
    error = to_application_error(Fault(reason))
    assert error.non_retryable is not CATALOGUE[number].retryable
    assert fault_from(error).reason == reason


def test_a_long_retry_after_is_capped() -> None:
    fault = Fault(Reason.REASON_RATE_LIMITED, retry_after=timedelta(hours=1))
    assert to_application_error(fault).next_retry_delay == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (timeout(exceptions.TimeoutType.SCHEDULE_TO_START), "WORKER_UNAVAILABLE"),
        (timeout(exceptions.TimeoutType.START_TO_CLOSE), "DEADLINE_EXCEEDED"),
        (timeout(exceptions.TimeoutType.HEARTBEAT), "DEADLINE_EXCEEDED"),
        (exceptions.CancelledError("cancelled"), "OPERATION_CANCELLED"),
        (asyncio.CancelledError(), "OPERATION_CANCELLED"),
        (exceptions.TerminatedError("by hand"), "OPERATION_TERMINATED"),
        (exceptions.ApplicationError("x", type="EMAIL_TAKEN"), "EMAIL_TAKEN"),
        (exceptions.ApplicationError("canary", type="ValueError"), "INTERNAL"),
        (exceptions.ApplicationError("canary"), "INTERNAL"),
        (exceptions.ApplicationError("canary", type="NotFoundError"), "WORKER_OUTDATED"),
        (RPCError("canary", RPCStatusCode.UNAVAILABLE, b""), "TEMPORAL_UNAVAILABLE"),
        (RPCError("Timeout expired", RPCStatusCode.CANCELLED, b""), "DEADLINE_EXCEEDED"),
        (RPCError("canary", RPCStatusCode.DEADLINE_EXCEEDED, b""), "DEADLINE_EXCEEDED"),
        (RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b""), "OPERATION_NOT_FOUND"),
        (
            RPCError("Namespace x is not found", RPCStatusCode.NOT_FOUND, b""),
            "TEMPORAL_UNAVAILABLE",
        ),
        (RPCError("canary transport error", RPCStatusCode.UNKNOWN, b""), "TEMPORAL_UNAVAILABLE"),
        (RPCError("canary", RPCStatusCode.RESOURCE_EXHAUSTED, b""), "RATE_LIMITED"),
        (
            RPCError("canary larger than max", RPCStatusCode.RESOURCE_EXHAUSTED, b""),
            "MESSAGE_TOO_LARGE",
        ),
        (RPCError("canary", RPCStatusCode.INTERNAL, b""), "INTERNAL"),
        (client.WorkflowUpdateRPCTimeoutOrCancelledError(), "DEADLINE_EXCEEDED"),
        (TimeoutError("canary"), "DEADLINE_EXCEEDED"),
        (ValueError("canary"), "INTERNAL"),
    ],
)
def test_every_kind_of_exception_becomes_a_reason_without_its_text(
    error: BaseException, reason: str
) -> None:
    for wrapped in (
        error,
        activity_error(error),
        client.WorkflowFailureError(cause=error),
        client.WorkflowUpdateFailedError(activity_error(error)),
    ):
        fault = fault_from(wrapped)
        assert fault.name == reason
        assert "canary" not in str(fault)


def test_temporal_away_says_when_to_try_again() -> None:
    assert fault_from(RPCError("", RPCStatusCode.UNAVAILABLE, b"")).retry_after
