"""Operations in the gateway's memory keep the promises of those on Temporal."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from nexpo.contract import Activity
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import ProbeRequest, ProbeResponse
from nexpo_gateway.calls.rate_limits import RateLimit
from nexpo_gateway.http.problems import problem_response
from nexpo_gateway.operations.local_attempts import LocalAttempts
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow.local_engine import Attempt

from .clients import Gateway, Refused
from .in_process import gateway_in_process


async def refused(call: Any) -> str:
    """Why the call is refused."""
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.reason


async def test_the_same_update_is_applied_once_and_an_ended_operation_takes_no_other(
    keys_file: Path,
) -> None:
    async with gateway_in_process(keys_file) as gateway:
        name = (await gateway.send(plan="wait")).name
        sign = {"operation": name, "token": "t", "request_id": "sign-1", "key": ""}
        first = await gateway.parcel("SignParcel", **sign)
        await gateway.wait(name)
        assert await gateway.parcel("SignParcel", **sign) == first
        other = gateway.parcel("SignParcel", **sign | {"request_id": "sign-2"})
        assert await refused(other) == "OPERATION_DONE"
        assert await refused(gateway.parcel("NudgeParcel", operation=name)) == "OPERATION_DONE"
        assert (await gateway.parcel("AskParcel", operation=name)).nudges == 0


async def test_only_so_many_ended_operations_are_remembered_and_all_that_run(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexpo_gateway.operations.local._ENDED_KEPT", 2)
    async with gateway_in_process(keys_file) as gateway:
        running = (await gateway.send(plan="wait")).name
        ended = [(await gateway.send(plan="finish", _prefer="wait=30")).name for _ in range(4)]
        assert await refused(gateway.get(ended[0])) == "OPERATION_NOT_FOUND"
        assert await refused(gateway.get(ended[1])) == "OPERATION_NOT_FOUND"
        for name in (*ended[2:], running):
            assert (await gateway.get(name)).name == name


async def test_pages_show_every_operation_once_newest_first(keys_file: Path) -> None:
    async with gateway_in_process(keys_file) as gateway:
        names = [(await gateway.send(plan="finish", _prefer="wait=30")).name for _ in range(5)]
        assert await pages(gateway, 2) == names[::-1]
        assert await pages(gateway, 5) == names[::-1]


async def pages(gateway: Gateway, size: int) -> list[str]:
    """Names of all operations, by pages of this size."""
    found: list[str] = []
    token = ""
    for _ in range(10):
        target = f"/v1/operations?page_size={size}&page_token={token}"
        page = await gateway.rest("GET", target)
        found += [operation["name"] for operation in page.get("operations", [])]
        token = page.get("nextPageToken", "")
        if not token:
            break
    return found


async def test_an_attempt_on_a_worker_says_whose_it_is_and_how_long_it_may_take() -> None:
    made: list[dict[str, object]] = []

    class Workers:
        async def call(self, worker: str, path: str, request: bytes, **options: object) -> bytes:
            made.append({"worker": worker, "path": path, **options})
            return ProbeResponse(version="1").SerializeToString()

    probe = Activity(
        name="nexpo.health.v1.Probe",
        queue="nexpo-db",
        request=ProbeRequest,
        response=ProbeResponse,
        start_to_close=timedelta(seconds=7),
    )
    attempts = LocalAttempts("nexpo-gateway", [], Workers())  # type: ignore[arg-type]  # records
    answer = await attempts(Attempt(probe(ProbeRequest()), "probe", "acme/x/1", "acme", 3))
    assert answer == ProbeResponse(version="1")
    assert made == [
        {
            "worker": "nexpo-db",
            "path": "/nexpo.health.v1.ProbeActivities/Probe",
            "tenant": "acme",
            "timeout": 7.0,
            "operation": "acme/x/1",
            "attempt": 3,
        }
    ]


def test_a_pause_earns_no_more_than_the_burst() -> None:
    now = [0.0]
    limit = RateLimit(rate=10, burst=2, clock=lambda: now[0])
    now[0] = 1000.0
    limit.take("a")
    limit.take("a")
    now[0] = 2000.0
    limit.take("a")
    limit.take("a")
    with pytest.raises(Fault, match="RATE_LIMITED"):
        limit.take("a")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.REASON_UNAUTHENTICATED, {"www-authenticate": "Bearer"}),
        (Reason.REASON_OPERATION_NOT_FOUND, {"www-authenticate": None, "retry-after": None}),
    ],
)
def test_a_problem_is_never_kept_by_a_cache_and_a_missing_key_says_how_to_send_it(
    reason: Reason.ValueType, expected: dict[str, str | None]
) -> None:
    response = problem_response(Fault(reason))
    assert response.headers["cache-control"] == "no-store"
    assert {name: response.headers.get(name) for name in expected} == expected
    assert json.loads(bytes(response.body))["status"] == response.status_code


async def test_what_runs_when_a_gateway_ends_is_said_to_be_lost(keys_file: Path) -> None:
    with structlog.testing.capture_logs() as logged:
        async with gateway_in_process(keys_file) as gateway:
            await gateway.send(plan="wait")

    assert [line["lost"] for line in logged if "lost" in line] == [1]
