"""A bug's text stays inside, on every surface; the log has it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_gateway.calls.reads import WorkerReads
from nexpo_gateway.http.problems import problem_response
from nexpo_gateway.operations.local import LocalBackend
from nexpo_runtime.errors import INTERNAL_MESSAGE, Fault

from .clients import Gateway, Refused
from .in_process import gateway_in_process

CANARY = "canary-postgres://user:secret@db"
BUGS = [
    RuntimeError(CANARY),
    KeyError(CANARY),
    # As a worker of another version may answer.
    Fault(Reason.REASON_INTERNAL, CANARY, metadata={"query": CANARY}),
]
NAME = "operations/acme~nexpo.parcels.v1.SendParcel~a~b"


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged; printed with every local variable, a bug would take seconds."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture(params=BUGS, ids=lambda bug: type(bug).__name__)
async def gateway(
    request: pytest.FixtureRequest, keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    """A gateway with a bug behind its reads, and one behind its own methods."""

    async def broken(*arguments: object, **options: object) -> Any:
        raise request.param

    async def broken_stream(*arguments: object) -> AsyncIterator[Any]:
        raise request.param
        yield

    monkeypatch.setattr(WorkerReads, "read", broken)
    for method in ("describe", "outcome", "list", "update", "cancel"):
        monkeypatch.setattr(LocalBackend, method, broken)
    monkeypatch.setattr(LocalBackend, "watch", broken_stream)
    async with gateway_in_process(keys_file) as gateway:
        yield gateway


async def test_grpc_shows_no_text_of_a_bug(gateway: Gateway, logged: list[Any]) -> None:
    for call in (
        gateway.parcel("FindParcels"),
        gateway.get(NAME),
        gateway.wait(NAME),
        gateway.parcel("SignParcel", operation=NAME, token="t", key=""),
    ):
        with pytest.raises(Refused) as refused:
            await call
        assert_nothing_shown(refused.value, 13)
    with pytest.raises(Refused) as refused:
        _ = [frame async for frame in gateway.watch(NAME)]
    assert_nothing_shown(refused.value, 13)
    bugs = [line for line in logged if line["event"] == "call failed by a bug"]
    assert len(bugs) == 5
    assert all(CANARY in str(line["exc_info"]) for line in bugs), "whoever mends it finds it"


async def test_rest_shows_no_text_of_a_bug(gateway: Gateway) -> None:
    for verb, target, body in (
        ("GET", "/v1/parcels", None),
        ("GET", "/v1/operations", None),
        ("GET", f"/v1/{NAME}", None),
        ("GET", f"/v1/{NAME}:watch", None),
        ("POST", f"/v1/{NAME}:wait", {}),
        ("POST", f"/v1/{NAME}:cancel", {}),
        ("POST", f"/v1/{NAME}:signParcel", {"token": "t"}),
    ):
        with pytest.raises(Refused) as refused:
            await gateway.rest(verb, target, body)
        assert_nothing_shown(refused.value, 500)


async def test_the_verify_page_shows_no_text_of_a_bug(gateway: Gateway) -> None:
    form = b"operation=operations/acme~nexpo.users.v1.OnboardUser~a~b&token=t"
    page = await gateway.http("POST", "/verify", form, key="")
    assert page.status == 500
    assert "canary" not in page.body.decode()


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_a_stream_that_has_begun_ends_without_the_text_of_a_bug(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    async with gateway_in_process(keys_file) as gateway:
        name = (await gateway.send(plan="wait")).name
        whole = LocalBackend.watch

        async def breaks_off(self: LocalBackend, name: Any) -> AsyncIterator[Any]:
            async for snapshot in whole(self, name):
                yield snapshot
                raise RuntimeError(CANARY)

        monkeypatch.setattr(LocalBackend, "watch", breaks_off)
        answer = await gateway.http("GET", f"/v1/{name}:watch", accept=accept)
        assert answer.status == 200, "the first frame had come"
        assert b"canary" not in answer.body
        last = answer.body.decode().strip().splitlines()[-1].removeprefix("data: ")
        problem = json.loads(last)
        problem = problem.get("error", problem)
        assert (problem["reason"], problem["detail"]) == ("INTERNAL", INTERNAL_MESSAGE)
        with pytest.raises(Refused) as refused:
            _ = [frame async for frame in gateway.watch(name)]
        assert_nothing_shown(refused.value, 13)


async def test_a_bug_before_the_call_shows_nothing(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> Any:
        raise RuntimeError(CANARY)

    async with gateway_in_process(keys_file) as gateway:
        monkeypatch.setattr("nexpo_gateway.calls.dispatcher.identify", broken)
        with pytest.raises(Refused) as refused:
            await gateway.get(NAME)
        assert_nothing_shown(refused.value, 13)
        with pytest.raises(Refused) as refused:
            await gateway.rest("GET", f"/v1/{NAME}")
        assert_nothing_shown(refused.value, 500)


def assert_nothing_shown(refused: Refused, status: int) -> None:
    """The refusal is INTERNAL and holds nothing of the bug, in no part of it."""
    assert (refused.status, refused.reason) == (status, "INTERNAL")
    assert refused.message == INTERNAL_MESSAGE
    assert "canary" not in refused.raw
    assert "Error" not in refused.message


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.4, "1"), (0.001, "1"), (1, "1"), (1.2, "2"), (30, "30")]
)
def test_retry_after_is_never_sooner_than_the_fault_says(seconds: float, header: str) -> None:
    fault = Fault(Reason.REASON_RATE_LIMITED, retry_after=timedelta(seconds=seconds))
    response = problem_response(fault)
    assert response.headers["retry-after"] == header
    assert json.loads(bytes(response.body))["retry_after"] == seconds
