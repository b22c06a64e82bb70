"""An operation of which something cannot be read is shown by its name, and breaks no list."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from google.longrunning import operations_pb2 as longrunning
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import (
    RawValue,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_pb2 import OnboardUserResponse
from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_gateway.context import CallContext, Caller
from nexpo_gateway.contract import Contract
from nexpo_gateway.operations.backend import Criteria, OperationsBackend, Page, ended
from nexpo_gateway.operations.native import NativeCall
from nexpo_gateway.operations.pages import PageTokens
from nexpo_gateway.operations.service import OperationMethods
from nexpo_gateway.operations.waiting import Waiting
from nexpo_runtime.names import OperationName
from nexpo_runtime.telemetry.metrics import UNREADABLE
from nexpo_runtime.workflow.temporal_engine import PROGRESS_MEMO, STATE_ATTRIBUTE, TENANT_ATTRIBUTE

from .clients import Gateway, Refused, progress_of
from .conftest import eventually

TYPE = "nexpo.users.v1.OnboardUser"


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"n": value}
    return value


def payload(encoding: bytes, data: bytes, kind: bytes = b"") -> RawValue:
    metadata = {"encoding": encoding} | ({"messageType": kind} if kind else {})
    return RawValue(Payload(metadata=metadata, data=data))


ANSWER = b"nexpo.users.v1.OnboardUserResponse"
PROGRESS = b"nexpo.operations.v1.Progress"
TOO_DEEP = json.dumps({"user": {"profile": {"attributes": deep(34)}}}).encode()
FAR_TOO_DEEP = json.dumps({"user": {"profile": {"attributes": deep(200)}}}).encode()
OUTCOMES = {
    "too deep for protobuf": payload(b"json/protobuf", TOO_DEEP, ANSWER),
    "too deep for anything": payload(b"json/protobuf", FAR_TOO_DEEP, ANSWER),
    "no JSON": payload(b"json/protobuf", b"{", ANSWER),
    "a message that nobody knows": payload(b"json/protobuf", b"{}", b"who.knows.This"),
    "an encoding that nobody knows": payload(b"binary/of-the-future", b"?"),
}
MEMOS = {
    "no message": payload(b"binary/protobuf", b"\xff\xff\xff", PROGRESS),
    "another message": payload(b"json/plain", b'"text"'),
    "an encoding that nobody knows": payload(b"binary/of-the-future", b"?"),
    "a key that is gone": RawValue(
        Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"old"}, data=b"x")
    ),
}


@workflow.defn(name=TYPE)
class Planted:
    """Ends at once with whatever it was given."""

    @workflow.run
    async def run(self, outcome: RawValue) -> RawValue:
        return outcome


async def plant(
    client: Client, queue: str, outcome: RawValue, memo: RawValue, workflow_id: str = ""
) -> str:
    """Starts an operation of tenant acme past the gateway; its name."""
    states = Progress.State.Name(Progress.SUCCEEDED)
    handle = await client.start_workflow(
        TYPE,
        outcome,
        id=workflow_id or f"acme/{TYPE}/{uuid.uuid4()}",
        task_queue=queue,
        memo={PROGRESS_MEMO: memo},
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(TENANT_ATTRIBUTE, "acme"),
                SearchAttributePair(STATE_ATTRIBUTE, states),
            ]
        ),
        task_timeout=timedelta(seconds=2),
    )
    return str(OperationName(handle.id, TYPE, handle.first_execution_run_id or ""))


async def listed(gateway: Gateway, names: Sequence[str]) -> dict[str, Any]:
    """Those operations of the list, over REST, which decodes the most, by their names."""
    found: dict[str, Any] = {}

    async def there() -> bool:
        target = "/v1/operations?page_size=200"
        page = await gateway.rest("GET", target)
        found.update({one["name"]: one for one in page.get("operations", [])})
        while "nextPageToken" in page and not set(names) <= set(found):
            page = await gateway.rest("GET", f"{target}&page_token={page['nextPageToken']}")
            found.update({one["name"]: one for one in page.get("operations", [])})
        return set(names) <= set(found) and all(found[name].get("done") for name in names)

    await eventually(there)
    return {name: found[name] for name in names}


async def test_what_nobody_can_read_is_told_and_the_list_goes_on(
    gateway: Gateway, temporal: TemporalAddress
) -> None:
    client = await Client.connect(temporal.url, namespace=temporal.namespace)
    queue = f"planted-{uuid.uuid4().hex[:8]}"
    good = payload(b"json/protobuf", b'{"user": {"userId": "u"}}', ANSWER)
    fine = payload(b"binary/protobuf", Progress(type=TYPE).SerializeToString(), PROGRESS)
    before = UNREADABLE.labels("operation")._value.get()
    async with Worker(
        client, task_queue=queue, workflows=[Planted], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        outcomes = {await plant(client, queue, one, fine): why for why, one in OUTCOMES.items()}
        memos = {await plant(client, queue, good, one): why for why, one in MEMOS.items()}
        foreign = await plant(client, queue, good, fine, f"foreign-{uuid.uuid4()}")
        found = await listed(gateway, [*outcomes, *memos])

        for name, why in outcomes.items():
            assert found[name]["error"]["details"][0]["reason"] == "RECORD_UNREADABLE", why
            assert found[name]["metadata"]["state"] == "SUCCEEDED", why
            over_grpc = await gateway.get(name)
            assert over_grpc.done, why
            with pytest.raises(Refused) as refused:
                await gateway.wait(name)
            assert refused.value.reason == "RECORD_UNREADABLE", why
        for name, why in memos.items():
            metadata = found[name]["metadata"]
            assert metadata["unreadable"] == "RECORD_UNREADABLE", why
            assert metadata["state"] == "SUCCEEDED", why
            assert found[name]["response"]["user"]["userId"] == "u", why
            [last] = [frame async for frame in gateway.watch(name)]
            assert progress_of(last).unreadable == "RECORD_UNREADABLE", why
    everything = await gateway.call(
        "/nexpo.operations.v1.OperationService/ListOperations",
        longrunning.ListOperationsRequest(page_size=200),
        longrunning.ListOperationsResponse,
    )
    assert foreign not in {operation.name for operation in everything.operations}
    assert UNREADABLE.labels("operation")._value.get() > before


async def test_a_result_that_no_reader_of_protobuf_takes_is_an_error_of_the_catalogue() -> None:
    result = OnboardUserResponse()
    result.user.profile.attributes.update(deep(34))
    name = OperationName("acme/x", TYPE, "run")
    operation = ended(name, Progress(state=Progress.SUCCEEDED), result, None).operation
    assert "RECORD_UNREADABLE" in str(operation.error)
    assert not operation.HasField("response")


class Large:
    """A fake engine with results of 1 MB each: what lists do with them is the same on every one."""

    def __init__(self, count: int) -> None:
        result = OnboardUserResponse(welcome_text="x" * 1_000_000)
        names = [OperationName(f"acme/{number}", TYPE, "run") for number in range(count)]
        self.snapshots = [ended(name, Progress(), result, None) for name in names]

    async def list(self, criteria: Criteria, size: int, token: bytes, timeout: float) -> Page:
        begin = int(token or b"0")
        page = self.snapshots[begin : begin + size]
        more = begin + size < len(self.snapshots)
        return Page(page, str(begin + size).encode() if more else b"")


async def test_a_page_of_large_operations_ends_where_one_message_does() -> None:
    engine = Large(10)
    backend = cast(OperationsBackend, engine)
    pages = PageTokens((b"k" * 32,))
    methods = OperationMethods(backend, Waiting(backend), pages, Contract.load())
    call = NativeCall(Caller("acme", "key", frozenset({"*"})), CallContext({}, "127.0.0.1"))
    token, seen = "", list[str]()
    while token or not seen:
        request = longrunning.ListOperationsRequest(page_size=50, page_token=token)
        page = await methods.list_operations(request, call)
        assert 0 < page.ByteSize() < 4 * 1024 * 1024
        seen += [operation.name for operation in page.operations]
        token = page.next_page_token
    assert seen == [str(snapshot.name) for snapshot in engine.snapshots]
