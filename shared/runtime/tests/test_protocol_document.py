"""The golden vectors by the document alone: what a worker in another language would write.

Nothing of the runtime is imported: only hashes, a cipher, and messages of protobuf.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

from nexpo.errors.v1 import errors_pb2
from nexpo.health.v1.health_pb2 import CheckHealthResponse, ProbeResponse
from nexpo.operations.v1.bound_calls_pb2 import BoundCall
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.options.v1 import options_pb2
from nexpo.users.v1.users_pb2 import User

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs/reference/worker-protocol.md"
TYPES = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (BoundCall, CheckHealthResponse, ProbeResponse, Progress, User)
}
PROTOCOL = options_pb2.DESCRIPTOR.GetOptions().Extensions[options_pb2.worker_protocol]


def vectors(name: str) -> list[dict[str, Any]]:
    path = ROOT / "shared/contracts/golden" / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    assert found
    return found


def hmac_sha256(key: bytes, message: bytes) -> str:
    """RFC 2104, by its formula."""
    block = (
        key.ljust(64, b"\0") if len(key) <= 64 else hashlib.sha256(key).digest().ljust(64, b"\0")
    )
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()


@pytest.mark.parametrize("vector", vectors("tenants"))
def test_a_signature_is_a_keyed_hash_of_label_scope_and_tenant(vector: dict[str, Any]) -> None:
    scope, tenant = vector["scope"], vector["tenant"]
    message = b"\n".join([b"tenant", scope.encode(), tenant.encode()])
    good = re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", tenant) is not None
    if not scope.startswith("/"):
        good = good and scope.split("/")[0] == tenant
    made = [hmac_sha256(key.encode(), message) for key in vector["verified_with"]]
    accepted = good and any(hmac.compare_digest(one, vector["signature"]) for one in made)
    assert accepted is ("refused" not in vector)


@pytest.mark.parametrize("vector", vectors("encryption"))
def test_a_sealed_payload_is_nonce_ciphertext_and_tag(vector: dict[str, Any]) -> None:
    sealed = vector["sealed"]
    if sealed["metadata"]["encoding"] != "binary/encrypted":
        assert sealed == vector["clear"]
        return
    key_id, data = sealed["metadata"]["encryption-key-id"], base64.b64decode(sealed["data"])
    key = vector["keys"].get(key_id)
    if "refused" in vector:
        assert key is None or not opens(base64.b64decode(key), data, key_id)
        return
    opened = AESGCM(base64.b64decode(key)).decrypt(data[:12], data[12:], key_id.encode())
    clear = Payload.FromString(opened)
    assert {k: v.decode() for k, v in clear.metadata.items()} == vector["clear"]["metadata"]
    assert clear.data == base64.b64decode(vector["clear"]["data"])


def opens(key: bytes, data: bytes, key_id: str) -> bool:
    try:
        AESGCM(key).decrypt(data[:12], data[12:], key_id.encode())
    except (InvalidTag, ValueError):
        return False
    return True


@pytest.mark.parametrize("vector", vectors("payloads"))
def test_a_payload_is_the_messages_json_or_its_bytes(vector: dict[str, Any]) -> None:
    kind, metadata = TYPES[vector["type"]], vector["payload"]["metadata"]
    data = base64.b64decode(vector["payload"]["data"])
    expected = kind.FromString(base64.b64decode(vector["binary"]))
    assert metadata["messageType"] == vector["type"]
    if metadata["encoding"] == "binary/protobuf":
        assert kind.FromString(data) == expected
        return
    assert metadata["encoding"] == "json/protobuf"
    assert json_format.Parse(data, kind(), ignore_unknown_fields=True) == expected
    assert vector.get("json", json.loads(data)) == json.loads(data)


@pytest.mark.parametrize("vector", vectors("faults"))
def test_a_fault_is_a_status_with_the_catalogues_code_and_hint(vector: dict[str, Any]) -> None:
    fault = vector["fault"]
    status = status_pb2.Status.FromString(base64.b64decode(vector["status"]))
    entry = entry_of(fault["reason"])
    by_type = {any_.TypeName(): any_.value for any_ in status.details}
    info = error_details_pb2.ErrorInfo.FromString(by_type.pop("google.rpc.ErrorInfo"))
    assert (status.code, status.message) == (vector["grpc_code"], fault["message"])
    assert (info.reason, info.domain) == (fault["reason"], "nexpo")
    assert dict(info.metadata) == {**fault["metadata"], "hint": entry.hint}
    if fault["fields"]:
        bad = error_details_pb2.BadRequest.FromString(by_type.pop("google.rpc.BadRequest"))
        fields = [{"field": v.field, "description": v.description} for v in bad.field_violations]
        assert fields == fault["fields"]
    if fault["retry_after"]:
        retry = error_details_pb2.RetryInfo.FromString(by_type.pop("google.rpc.RetryInfo"))
        assert retry.retry_delay.ToTimedelta().total_seconds() == fault["retry_after"]
    assert by_type == {}


@pytest.mark.parametrize("vector", vectors("faults"))
def test_a_failure_has_the_status_and_the_attempt_as_details(vector: dict[str, Any]) -> None:
    fault, entry = vector["fault"], entry_of(vector["fault"]["reason"])
    failure = Failure.FromString(base64.b64decode(vector["failure"]))
    info = failure.application_failure_info
    first, second = info.details.payloads
    assert failure.message == "Encoded failure"
    assert json.loads(failure.encoded_attributes.data)["message"] == fault["message"]
    assert info.type == fault["reason"]
    assert info.non_retryable is not (entry.retryable or vector["unlimited_attempts"])
    delay = min(fault["retry_after"] or 0, 60)
    assert info.next_retry_delay.ToTimedelta().total_seconds() == delay
    status = status_pb2.Status.FromString(base64.b64decode(vector["status"]))
    assert first.metadata["messageType"] == b"google.rpc.Status"
    assert json.loads(first.data) == json_format.MessageToDict(status)
    assert (second.metadata["encoding"], json.loads(second.data)) == (
        b"json/plain",
        fault["attempt"],
    )


def entry_of(reason: str) -> errors_pb2.Entry:
    value = errors_pb2.Reason.DESCRIPTOR.values_by_name[f"REASON_{reason}"]
    entry: errors_pb2.Entry = value.GetOptions().Extensions[errors_pb2.entry]
    return entry


@pytest.mark.parametrize("vector", vectors("retries"))
def test_a_pause_grows_by_the_coefficient_to_its_maximum(vector: dict[str, Any]) -> None:
    value = options_pb2.Retry.DESCRIPTOR.values_by_name[vector["retry"]]
    policy = value.GetOptions().Extensions[options_pb2.retry_policy]
    assert policy.maximum_attempts == vector["maximum_attempts"]
    pause = policy.initial_interval.ToTimedelta().total_seconds()
    longest = policy.maximum_interval.ToTimedelta().total_seconds()
    for attempt in range(1, 10_000):
        expected = vector["pause_after_attempt"].get(str(attempt), min(pause, longest))
        assert min(pause, longest) == pytest.approx(expected)
        pause = min(pause * policy.backoff_coefficient, longest)


def escaped(text: str) -> str:
    kept = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"
    return "".join(chr(b) if chr(b) in kept else f"%{b:02X}" for b in text.encode())


def test_names_and_keys_are_made_of_escaped_parts() -> None:
    for vector in vectors("workflow_ids"):
        parts = [vector["tenant"], *map(escaped, vector["values"])]
        if vector["template"] != "{request_id}":
            parts.insert(1, escaped(vector["type"]))
        assert "/".join(parts) == vector["workflow_id"]
    for vector in vectors("operation_names"):
        if "refused" not in vector:
            tenant, rest = vector["workflow_id"].split("/", 1)
            parts = [tenant, vector["type"], *rest.split("/"), vector["first_run_id"]]
            assert "operations/" + "~".join(parts) == vector["name"]
    for vector in vectors("steps"):
        key = f"{vector['workflow_id']}/{vector['step'].replace('%', '%25').replace('/', '%2F')}"
        assert key == vector["key"]
        words = re.findall(r"[A-Za-z0-9]+", vector["step"])
        assert "-".join(words).lower() == vector["task"]


def test_the_document_says_what_the_contract_says() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for field, value in PROTOCOL.ListFields():
        shown = value if isinstance(value, str) else f"{value.seconds} s"
        assert f"| `{field.name}` | `{shown}` |" in text
    for value in options_pb2.Retry.DESCRIPTOR.values[1:]:
        policy = value.GetOptions().Extensions[options_pb2.retry_policy]
        intervals = [
            policy.initial_interval.ToTimedelta().total_seconds(),
            policy.maximum_interval.ToTimedelta().total_seconds(),
        ]
        first, longest = (f"{seconds:g} s" for seconds in intervals)
        row = [f"`{value.name}`", first, f"{policy.backoff_coefficient:g}", longest]
        assert f"| {' | '.join(row)} | {policy.maximum_attempts:,}" in text


def test_the_examples_of_the_document_are_vectors() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, part in (
        ("tenants", "signature"),
        ("workflow_ids", "workflow_id"),
        ("operation_names", "name"),
        ("steps", "key"),
        ("encryption", "nonce"),
    ):
        assert any(part in v and str(v[part]) in text for v in vectors(name)), name
