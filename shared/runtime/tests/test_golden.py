"""The runtime against the golden vectors of the worker protocol, in both directions."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import status_pb2
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes

from nexpo import registry
from nexpo.contract import Retry
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime import names
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.failures import STATUS_TRAILER, fault_from, to_application_error
from nexpo_runtime.retry import POLICIES
from nexpo_runtime.temporal.codec import DecryptionError, EncryptionCodec
from nexpo_runtime.temporal.converter import PayloadConverter
from nexpo_runtime.tenant import HEADER, SIGNATURE, Signer
from nexpo_runtime.workflow.progress import task_id

GOLDEN = Path(__file__).parents[2] / "contracts/golden"
FAILURES = DefaultFailureConverterWithEncodedAttributes()

Vector = dict[str, Any]


def vectors(name: str, refused: bool | None = None) -> list[Vector]:
    """The vectors of a file: all, only those that are refused, or only the others."""
    found: list[Vector] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    chosen = [v for v in found if refused is None or ("refused" in v) == refused]
    assert chosen
    return chosen


def payload(vector: Vector) -> Payload:
    metadata = {key: value.encode() for key, value in vector["metadata"].items()}
    return Payload(metadata=metadata, data=base64.b64decode(vector["data"]))


def message(vector: Vector) -> Message:
    kind = registry.message_class(vector["type"])
    return kind.FromString(base64.b64decode(vector["binary"]))


def fault(vector: Vector) -> Fault:
    seconds = vector["retry_after"]
    return Fault(
        Reason.Value(f"REASON_{vector['reason']}"),
        vector["message"],
        [FieldViolation(**violation) for violation in vector["fields"]],
        None if seconds is None else timedelta(seconds=seconds),
        vector["metadata"],
        vector["attempt"],
    )


def facts(fault: Fault) -> tuple[object, ...]:
    fields = [(violation.field, violation.description) for violation in fault.fields]
    return fault.name, fault.message, fields, fault.retry_after, fault.metadata, fault.attempt


def codec(vector: Vector) -> EncryptionCodec:
    return EncryptionCodec({name: base64.b64decode(key) for name, key in vector["keys"].items()})


def keys(texts: list[str]) -> list[bytes]:
    return [text.encode() for text in texts]


@pytest.mark.parametrize("vector", vectors("tenants", refused=False))
def test_a_tenants_signature_is_made_and_accepted(vector: Vector) -> None:
    scope, tenant, signature = vector["scope"], vector["tenant"], vector["signature"]
    signing, verifying = Signer(keys(vector["signed_with"])), Signer(keys(vector["verified_with"]))
    assert signing.signature(scope, tenant) == signature
    metadata = {HEADER: tenant, SIGNATURE: signature}
    assert verifying.verified_metadata(metadata, scope) == tenant
    if not scope.startswith("/"):
        assert verifying.verified({HEADER: signing.header(scope, tenant)}, scope) == tenant


@pytest.mark.parametrize("vector", vectors("tenants", refused=True))
def test_a_wrong_signature_is_refused(vector: Vector) -> None:
    content = {"tenant": vector["tenant"], "signature": vector["signature"]}
    header = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(content).encode())
    signer = Signer(keys(vector["verified_with"]))
    with pytest.raises(Fault, match="UNAUTHENTICATED"):
        signer.verified({HEADER: header}, vector["scope"])


@pytest.mark.parametrize("vector", [v for v in vectors("payloads") if "only_read" not in v])
def test_a_message_is_written_as_its_payload(vector: Vector) -> None:
    assert PayloadConverter().to_payloads([message(vector)]) == [payload(vector["payload"])]


@pytest.mark.parametrize("vector", vectors("payloads"))
def test_a_payload_is_read_as_its_message(vector: Vector) -> None:
    assert PayloadConverter().from_payloads([payload(vector["payload"])]) == [message(vector)]


@pytest.mark.parametrize("vector", vectors("encryption", refused=False))
async def test_a_sealed_payload_is_opened_and_sealed_again(vector: Vector) -> None:
    clear, sealed = payload(vector["clear"]), payload(vector["sealed"])
    assert await codec(vector).decode([sealed]) == [clear]
    if "nonce" in vector:
        assert codec(vector).sealed(clear, bytes.fromhex(vector["nonce"])) == sealed


@pytest.mark.parametrize("vector", vectors("encryption", refused=True))
async def test_a_payload_that_does_not_fit_its_key_is_refused(vector: Vector) -> None:
    with pytest.raises(DecryptionError):
        await codec(vector).decode([payload(vector["sealed"])])


@pytest.mark.parametrize("vector", vectors("faults"))
def test_a_fault_travels_as_status_and_as_failure(vector: Vector) -> None:
    original = fault(vector["fault"])
    status, failure = status_pb2.Status(), Failure()
    status.ParseFromString(base64.b64decode(vector["status"]))
    assert original.to_status() == status
    assert facts(Fault.from_status(status)) == (*facts(original)[:-1], 0)
    error = to_application_error(original, persistent=vector["unlimited_attempts"])
    FAILURES.to_failure(error, PayloadConverter(), failure)
    assert failure == Failure.FromString(base64.b64decode(vector["failure"]))
    back = fault_from(FAILURES.from_failure(failure, PayloadConverter()))
    assert facts(back) == facts(original)


@pytest.mark.parametrize("vector", vectors("failures"))
def test_what_another_worker_writes_becomes_a_fault(vector: Vector) -> None:
    failure = Failure.FromString(base64.b64decode(vector["failure"]))
    back = fault_from(FAILURES.from_failure(failure, PayloadConverter()))
    assert facts(back) == facts(fault(vector["fault"]))


@pytest.mark.parametrize("vector", vectors("grpc_answers"))
def test_what_another_worker_answers_becomes_a_fault(vector: Vector) -> None:
    trailer = vector["trailer"]
    trailers = [] if trailer is None else [(STATUS_TRAILER, base64.b64decode(trailer))]
    error = grpc.aio.AioRpcError(
        grpc.StatusCode[vector["code"]],
        grpc.aio.Metadata(),
        grpc.aio.Metadata(*trailers),
        "canary",
    )
    assert facts(fault_from(error)) == facts(fault(vector["fault"]))


@pytest.mark.parametrize("vector", vectors("retries"))
def test_a_retry_behaviour_has_its_pauses(vector: Vector) -> None:
    policy = POLICIES[Retry.Value(vector["retry"])]
    assert policy.maximum_attempts == vector["maximum_attempts"]
    for attempt, seconds in vector["pause_after_attempt"].items():
        assert policy.pause(int(attempt)).total_seconds() == seconds


@pytest.mark.parametrize("vector", vectors("workflow_ids"))
def test_a_start_has_its_workflow_id(vector: Vector) -> None:
    filled = "/".join(map(names.escaped, vector["values"]))
    keyed = vector["template"] == "{request_id}"
    made = names.workflow_id(vector["tenant"], vector["type"], filled, keyed=keyed)
    assert made == vector["workflow_id"]
    assert names.tenant_of(made) == vector["tenant"]


@pytest.mark.parametrize("vector", vectors("operation_names", refused=False))
def test_an_operations_name_is_made_and_read(vector: Vector) -> None:
    name = names.OperationName(vector["workflow_id"], vector["type"], vector["first_run_id"])
    assert str(name) == vector["name"]
    assert names.OperationName.parse(vector["name"]) == name


@pytest.mark.parametrize("vector", vectors("operation_names", refused=True))
def test_what_is_no_operations_name_is_refused(vector: Vector) -> None:
    with pytest.raises(ValueError, match="not the name"):
        names.OperationName.parse(vector["name"])


@pytest.mark.parametrize("vector", vectors("steps"))
def test_a_step_has_its_key_and_its_task(vector: Vector) -> None:
    assert names.step_key(vector["workflow_id"], vector["step"]) == vector["key"]
    assert task_id(vector["step"]) == vector["task"]
