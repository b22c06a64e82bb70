"""Bad input is refused alike on gRPC and REST: same reason, fields and words; nothing leaks."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from google.longrunning import operations_pb2 as longrunning
from google.protobuf import json_format
from google.protobuf.message import Message

from nexpo.users.v1.users_pb2 import (
    GetUserRequest,
    GetUserResponse,
    OnboardUserRequest,
    VerifyEmailRequest,
    VerifyEmailResponse,
)
from nexpo_dev.pytest_plugin import TemporalAddress

from .clients import OPERATIONS, PARCELS, Gateway, Refused
from .conftest import gateway_settings, ready, write_keys
from .parcels.contract import message

USERS = "/nexpo.users.v1.UserService/"
LEAKS = (
    "Traceback",
    "temporalio",
    "site-packages",
    "nexpo_gateway",
    "NoneType",
    "Error(",
)
GOOD = {"email": "ada@b.example", "display_name": "Ada", "password": "long-enough"}
NOWHERE = f"operations/acme~nexpo.parcels.v1.SendParcel~none~{uuid.UUID(int=1)}"
FOREIGN = f"operations/other~nexpo.parcels.v1.SendParcel~none~{uuid.UUID(int=1)}"
ONBOARDING = f"operations/acme~nexpo.users.v1.OnboardUser~none~{uuid.UUID(int=1)}"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    temporal: TemporalAddress, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    """One for all mistakes."""
    keys_file = write_keys(tmp_path_factory.mktemp("keys") / "keys.json")
    async with ready(gateway_settings(temporal.url, keys_file)) as gateway:
        yield gateway


@dataclass(frozen=True)
class Case:
    """One mistake, made on both surfaces, and what comes of it."""

    name: str
    path: str
    request: Message | bytes
    verb: str
    target: str
    expected: tuple[str, int, int]
    body: dict[str, Any] | bytes | None = None
    fields: tuple[str, ...] = ()
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 20


def onboard(name: str, *fields: str, body: dict[str, Any] | None = None, **wrong: Any) -> Case:
    """An OnboardUser with something wrong, by its proto fields and by its JSON."""
    request = OnboardUserRequest(**{**GOOD, **wrong})
    return Case(
        name,
        USERS + "OnboardUser",
        request,
        "POST",
        "/v1/users:onboard",
        ("INVALID_ARGUMENT", 3, 400),
        body={**GOOD, **(wrong if body is None else body)},
        fields=fields,
    )


def get(name: str, operation: str, expected: tuple[str, int, int], **more: Any) -> Case:
    """A GetOperation."""
    request = longrunning.GetOperationRequest(name=operation)
    return Case(
        name, OPERATIONS + "GetOperation", request, "GET", f"/v1/{operation}", expected, **more
    )


def listing(name: str, expected: tuple[str, int, int], field: str, **query: str) -> Case:
    """A ListOperations."""
    request = json_format.ParseDict(query, longrunning.ListOperationsRequest())
    target = "/v1/operations?" + "&".join(f"{k}={v}" for k, v in query.items())
    path = OPERATIONS + "ListOperations"
    return Case(name, path, request, "GET", target, expected, fields=(field,))


NOT_FOUND = ("OPERATION_NOT_FOUND", 5, 404)
INVALID = ("INVALID_ARGUMENT", 3, 400)
NO_KEY = ("UNAUTHENTICATED", 16, 401)
BIG = "x" * (4 * 1024 * 1024)

CASES = [
    onboard("missing e-mail", "email", email=""),
    onboard("malformed e-mail", "email", email="ada@"),
    onboard("e-mail of spaces", "email", email=" "),
    onboard("too long name", "display_name", display_name="x" * 201),
    onboard("short password", "password", password="short"),
    onboard("no name of a database", "databases[0]", databases=["STORE_POSTGRES"]),
    onboard("a database twice", "databases", databases=["databases/a", "databases/a"]),
    onboard("many mistakes", "email", "display_name", email="ada", display_name="x" * 201),
    onboard(
        "nested mistake",
        "profile.plan",
        profile={"plan": "No Such Plan"},
    ),
    onboard("malformed request_id", "request_id", request_id="a/../b"),
    Case(
        "malformed user id",
        USERS + "GetUser",
        GetUserRequest(user_id="not-a-uuid"),
        "GET",
        "/v1/users/not-a-uuid",
        INVALID,
        fields=("user_id",),
    ),
    get("no such operation", NOWHERE, NOT_FOUND),
    get("another tenant's operation", FOREIGN, NOT_FOUND),
    get("malformed operation name", "operations/what-is-this", NOT_FOUND),
    get("hostile operation name", "operations/acme~..~..~etc", NOT_FOUND),
    get("no key", NOWHERE, NO_KEY, key=""),
    get("wrong key", NOWHERE, NO_KEY, key="nobody-issued-this"),
    Case(
        "missing permission",
        PARCELS + "SendParcel",
        message("SendParcelRequest"),
        "POST",
        "/v1/parcels:send",
        ("PERMISSION_DENIED", 7, 403),
        body={},
        key="reader-key",
    ),
    listing("tampered page token", ("INVALID_PAGE_TOKEN", 3, 400), "page_token", page_token="AAAA"),
    listing("page token of words", ("INVALID_PAGE_TOKEN", 3, 400), "page_token", page_token="hi*"),
    listing("filter of an unknown field", INVALID, "filter", filter='owner="me"'),
    listing("filter of an unknown state", INVALID, "filter", filter='state="ASLEEP"'),
    listing("filter of an unknown type", INVALID, "filter", filter="type=\"x'OR'1'='1\""),
    Case(
        "update of another kind of operation",
        PARCELS + "SignParcel",
        message("SignParcelRequest", operation=ONBOARDING),
        "POST",
        f"/v1/{ONBOARDING}:signParcel",
        INVALID,
        body={},
        fields=("operation",),
    ),
    Case(
        "public update of an operation that is not there",
        USERS + "VerifyEmail",
        VerifyEmailRequest(operation=ONBOARDING, token="t"),
        "POST",
        f"/v1/{ONBOARDING}:verifyEmail",
        NOT_FOUND,
        body={"token": "t"},
        key="",
    ),
    Case(
        "empty token",
        USERS + "VerifyEmail",
        VerifyEmailRequest(operation=ONBOARDING),
        "POST",
        f"/v1/{ONBOARDING}:verifyEmail",
        INVALID,
        body={},
        fields=("token",),
        key="",
    ),
    Case(
        "oversize message",
        PARCELS + "SendParcel",
        message("SendParcelRequest", note=BIG),
        "POST",
        "/v1/parcels:send",
        ("MESSAGE_TOO_LARGE", 8, 413),
        body={"note": BIG},
    ),
    Case(
        "message larger than Temporal takes",
        PARCELS + "SendParcel",
        message("SendParcelRequest", note=BIG[: 3 * 1024 * 1024]),
        "POST",
        "/v1/parcels:send",
        ("MESSAGE_TOO_LARGE", 8, 413),
        body={"note": BIG[: 3 * 1024 * 1024]},
    ),
    Case(
        "deadline too short",
        PARCELS + "SendParcel",
        message("SendParcelRequest"),
        "POST",
        "/v1/parcels:send",
        ("DEADLINE_TOO_SHORT", 4, 504),
        body={},
        headers={"grpc-timeout": "15m"},
        timeout=0.015,
    ),
    Case(
        "a worker that has no address",
        USERS + "GetUser",
        GetUserRequest(user_id=str(uuid.UUID(int=7))),
        "GET",
        f"/v1/users/{uuid.UUID(int=7)}",
        ("WORKER_UNAVAILABLE", 14, 503),
    ),
    Case(
        "no such method",
        USERS + "MakeCoffee",
        b"",
        "POST",
        "/v1/coffee",
        ("UNKNOWN_METHOD", 12, 404),
        body={},
    ),
]
RESPONSES: dict[str, type[Message]] = {
    "GetUser": GetUserResponse,
    "VerifyEmail": VerifyEmailResponse,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
async def test_both_surfaces_refuse_it_alike(gateway: Gateway, case: Case) -> None:
    reason, code, status = case.expected
    response = RESPONSES.get(case.path.rpartition("/")[2], longrunning.Operation)
    with pytest.raises(Refused) as over_grpc:
        await gateway.call(case.path, case.request, response, key=case.key, timeout=case.timeout)
    with pytest.raises(Refused) as over_rest:
        await gateway.rest(
            case.verb,
            case.target.replace(" ", "%20").replace('"', "%22"),
            case.body,
            key=case.key,
            **case.headers,
        )
    grpc_error, rest_error = over_grpc.value, over_rest.value
    if case.name == "deadline too short" and not grpc_error.reason:
        # The client's own clock was quicker than the answer.
        assert grpc_error.status == code
    else:
        assert (grpc_error.reason, grpc_error.status) == (reason, code)
        assert grpc_error.message == rest_error.message
        assert (grpc_error.fields, grpc_error.retry_after) == (
            rest_error.fields,
            rest_error.retry_after,
        )
        assert set(case.fields) <= set(grpc_error.fields)
    assert (rest_error.reason, rest_error.status) == (reason, status)
    for leak in LEAKS:
        assert leak not in grpc_error.raw + rest_error.raw


async def test_a_reused_request_id_names_the_fields_that_differ(gateway: Gateway) -> None:
    request_id = uuid.uuid4().hex
    first = {
        "email": "a@b.example",
        "password": "secret-word",
        "address": {"city": "Bern"},
        "request_id": request_id,
    }
    await gateway.send(**first)
    changed = first | {"password": "other-word", "address": {"city": "Chur"}, "note": "hi"}
    with pytest.raises(Refused) as over_grpc:
        await gateway.send(**changed)
    with pytest.raises(Refused) as over_rest:
        await gateway.rest("POST", "/v1/parcels:send", changed)
    for error, status in ((over_grpc.value, 6), (over_rest.value, 409)):
        assert (error.reason, error.status) == ("REQUEST_ID_REUSED", status)
        assert set(error.fields) == {"password", "address.city", "note"}
        assert "other-word" not in error.raw
        assert "argon2" not in error.raw


async def test_another_tenants_operation_can_neither_be_read_nor_changed(gateway: Gateway) -> None:
    name = (await gateway.send(plan="wait")).name
    for method in ("GetOperation", "WaitOperation", "CancelOperation", "DeleteOperation"):
        request = longrunning.GetOperationRequest(name=name)
        with pytest.raises(Refused) as refused:
            await gateway.call(OPERATIONS + method, request, longrunning.Operation, key="other-key")
        assert refused.value.reason == "OPERATION_NOT_FOUND"
    with pytest.raises(Refused) as refused:
        await gateway.parcel("NudgeParcel", operation=name, key="other-key")
    assert refused.value.reason == "OPERATION_NOT_FOUND"
    with pytest.raises(Refused) as refused:
        _ = [frame async for frame in gateway.watch(name, key="other-key")]
    assert refused.value.reason == "OPERATION_NOT_FOUND"
    listed = await gateway.rest("GET", "/v1/operations", key="other-key")
    assert name not in str(listed)


async def test_a_page_token_is_worth_nothing_to_another_tenant_or_filter(gateway: Gateway) -> None:
    for _ in range(2):
        await gateway.send(plan="finish", _prefer="wait=30")
    page: Any = {}
    while "nextPageToken" not in page:
        page = await gateway.rest("GET", "/v1/operations?page_size=1")
    token = page["nextPageToken"]
    assert await gateway.rest("GET", f"/v1/operations?page_size=1&page_token={token}")
    flipped = ("B" if token[-2] != "B" else "C").join((token[:-2], token[-1:]))
    for target, key in (
        (f"/v1/operations?page_token={flipped}", "acme-key"),
        (f"/v1/operations?page_token={token}", "other-key"),
        (f"/v1/operations?page_token={token}&filter=state=RUNNING", "acme-key"),
        (f"/v1/operationTasks?page_token={token}", "acme-key"),
    ):
        with pytest.raises(Refused) as refused:
            await gateway.rest("GET", target, key=key)
        assert refused.value.reason == "INVALID_PAGE_TOKEN", target


async def test_a_bug_in_a_workflow_shows_none_of_its_text(gateway: Gateway) -> None:
    with pytest.raises(Refused) as refused:
        await gateway.send(plan="crash", _prefer="wait=30")
    assert refused.value.reason == "INTERNAL"
    assert "internal-secret" not in refused.value.raw
