"""Text of callers becomes no header, trailer or log line unchecked; errors are short."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from google.longrunning import operations_pb2 as longrunning

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import OnboardUserRequest
from nexpo_gateway.calls.faults import bounded
from nexpo_gateway.context import CallContext
from nexpo_gateway.operations import service
from nexpo_gateway.surfaces.grpc import GrpcSurface
from nexpo_runtime.errors import Fault, FieldViolation

from .clients import OPERATIONS, PARCELS, Gateway, Refused, read_answer
from .conftest import gateway_settings, ready
from .parcels.contract import message
from .test_admission import begun

HOSTILE_KEYS = {
    "letters of another script": "заказ-1",
    "a line break": "a\r\nset-cookie: b",
    "a newline": "a\n",
    "a null": "a\0b",
    "a space": "a b",
    "an escape": "a%0d%0ab",
    "64 KiB": "a" * 65_536,
    "65 characters": "a" * 65,
}
OPERATION = "operations/acme~nexpo.parcels.v1.SendParcel~a~b"
USERS = "/nexpo.users.v1.UserService/"


@pytest.fixture
async def gateway(keys_file: Path) -> AsyncIterator[Gateway]:
    """A gateway without Temporal: nothing here comes so far."""
    settings = gateway_settings("127.0.0.1:1", keys_file, enable_temporal=False)
    async with ready(settings) as gateway:
        yield gateway


@pytest.mark.parametrize("key", HOSTILE_KEYS.values(), ids=HOSTILE_KEYS.keys())
@pytest.mark.parametrize("method", ["SendParcel", "SignParcel"])
async def test_a_hostile_request_id_is_an_invalid_argument_on_both_surfaces(
    gateway: Gateway, method: str, key: str
) -> None:
    # The contract has a rule for the one's request_id, and none for the other's.
    fields = {} if method == "SendParcel" else {"operation": OPERATION}
    request = message(f"{method}Request", request_id=key, **fields)
    with pytest.raises(Refused) as over_grpc:
        await gateway.call(PARCELS + method, request, longrunning.Operation)
    target = "/v1/parcels:send" if method == "SendParcel" else f"/v1/{OPERATION}:signParcel"
    with pytest.raises(Refused) as over_rest:
        await gateway.rest("POST", target, {"requestId": key})
    for refused in (over_grpc.value, over_rest.value):
        assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ("request_id",))


@pytest.mark.parametrize("key", ["заказ-1", "a b", "a%0d%0ab", "a" * 30_000, "a" * 65])
async def test_a_hostile_idempotency_key_is_an_invalid_argument(gateway: Gateway, key: str) -> None:
    as_sent = key.encode().decode("latin-1")
    with pytest.raises(Refused) as refused:
        await gateway.rest("POST", "/v1/parcels:send", {}, idempotency_key=as_sent)
    assert (refused.value.reason, refused.value.fields) == ("INVALID_ARGUMENT", ("request_id",))
    if key.isascii():
        with pytest.raises(Refused) as refused:
            await gateway.parcel("SendParcel", _idempotency_key=key)
        assert (refused.value.reason, refused.value.fields) == ("INVALID_ARGUMENT", ("request_id",))


@pytest.mark.parametrize(
    ("header", "status"), [("a: b\0c", 400), ("a b: c", 400), ("a: " + "b" * 70_000, 431)]
)
async def test_what_is_no_http_is_refused_as_everything_is(
    gateway: Gateway, header: str, status: int
) -> None:
    reader, writer = await begun(gateway, "/v1/parcels:send", "acme-key", header)
    answer = await read_answer(reader)
    writer.close()
    assert (answer.status, answer.json["reason"]) == (status, "INVALID_ARGUMENT")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("value", ["é", "a\r\nb", "a\0", "a" * 257])
def test_a_trailer_takes_no_value_that_a_header_may_not_have(value: str) -> None:
    with pytest.raises(ValueError, match="nexpo-request-id"):
        CallContext({}, "peer").tell("nexpo-request-id", value)


async def test_the_log_names_a_method_and_never_the_path_that_was_sent(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        lines.append(structlog.contextvars.get_contextvars())
        raise KeyError

    monkeypatch.setattr(service, "named", broken)
    monkeypatch.setattr(GrpcSurface, "call_context", broken)
    lines: list[Any] = []
    with structlog.testing.capture_logs() as logged:
        assert (await gateway.http("GET", "/v1/operations/sent-by-a-caller")).status == 500
        for path in ("/nexpo.users.v1.UserService/sent-by-a-caller", OPERATIONS + "GetOperation"):
            with pytest.raises(Refused) as refused:
                await gateway.call(path, b"", longrunning.Operation)
            assert refused.value.reason == "INTERNAL"
    lines += logged
    assert len(logged) == 3
    assert "sent-by-a-caller" not in str(lines)
    get = OPERATIONS + "GetOperation"
    assert sorted(line["method"] for line in logged) == sorted([get, "unknown", get])


@pytest.mark.parametrize("count", [21, 900])
async def test_of_many_violations_twenty_are_listed_and_the_rest_is_counted(
    gateway: Gateway, count: int
) -> None:
    request = OnboardUserRequest(
        email="a@b.example",
        display_name="a",
        password="long-enough",
        databases=[f"none-{number}" for number in range(count)],
    )
    with pytest.raises(Refused) as over_grpc:
        await gateway.call(USERS + "OnboardUser", request, longrunning.Operation)
    body = {
        "email": "a@b.example",
        "displayName": "a",
        "password": "long-enough",
        "databases": [f"none-{number}" for number in range(count)],
    }
    answer = await gateway.http("POST", "/v1/users:onboard", body)
    problem = answer.json
    # Each name, and their number.
    assert problem["violations_omitted"] == count + 1 - 20
    assert len(problem["errors"]) == len(over_grpc.value.fields) == 20
    for text in (problem["detail"], over_grpc.value.message):
        assert text.startswith(f"{count + 1} problems in the request: ")
        assert f"{count + 1 - 20} of them are not listed" in text


async def test_long_names_of_the_caller_do_not_cost_an_error_its_reason(gateway: Gateway) -> None:
    places = {f"{number:01000}": {"street": "x" * 11} for number in range(19)}
    with pytest.raises(Refused) as refused:
        await gateway.parcel("FindParcels", places=places)
    assert refused.value.reason == "INVALID_ARGUMENT"
    assert refused.value.fields[0].startswith('places["000')
    assert len(refused.value.raw) < 16_000


async def test_of_a_large_request_only_the_first_violation_is_looked_for(gateway: Gateway) -> None:
    body = {"databases": ["none"] * 1001}
    problem = (await gateway.http("POST", "/v1/users:onboard", body)).json
    assert len(problem["errors"]) == 1
    assert problem["detail"].startswith("One problem in the request: ")


async def test_mistakes_in_json_are_counted_alike(gateway: Gateway) -> None:
    body = {f"unknown-{number}": 1 for number in range(300)}
    problem = (await gateway.http("POST", "/v1/users:onboard", body)).json
    assert (len(problem["errors"]), problem["violations_omitted"]) == (20, 280)


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600", "\ud800", "\0"])
def test_no_fault_is_larger_than_trailers_may_be(letter: str) -> None:
    long = letter * 50_000
    fault = bounded(
        Fault(
            Reason.REASON_REQUEST_ID_REUSED,
            long,
            fields=[FieldViolation(long, long)] * 1000,
            metadata={f"fact_{number}": long for number in range(50)},
        )
    )
    assert fault.reason == Reason.REASON_REQUEST_ID_REUSED
    status = fault.to_status()
    # In base64, beside the message in percent-encoding, below the 8 KiB that clients take.
    assert len(status.SerializeToString()) * 4 / 3 + len(fault.message.encode()) * 3 < 8000
    assert 0 < len(fault.fields) <= 20
    assert int(fault.metadata["violations_omitted"]) == 1000 - len(fault.fields)


def test_violations_that_were_left_out_before_are_counted_too() -> None:
    fields = [FieldViolation(f"field_{number}", "is wrong") for number in range(25)]
    fault = Fault(
        Reason.REASON_INVALID_ARGUMENT, "No.", fields=fields, metadata={"violations_omitted": "7"}
    )
    assert bounded(fault).metadata["violations_omitted"] == "12"


def test_a_short_fault_stays_as_it_is() -> None:
    fault = Fault(
        Reason.REASON_EMAIL_TAKEN,
        "Somebody has it.",
        fields=[FieldViolation("email", "is taken")],
        metadata={"operation": "operations/a~b~c~d"},
    )
    assert json.dumps(str(bounded(fault).to_status())) == json.dumps(str(fault.to_status()))
