"""CheckHealth through every queue, and what a dead worker does to it."""

from __future__ import annotations

import time

import grpc.aio
import pytest

from nexpo.health.v1.health_pb2 import CheckHealthRequest, QueueHealth
from nexpo.queues import QUEUES
from nexpo.users.v1.users_pb2 import GetUserRequest

from .house import TENANT, House, refusal

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def check(house: House) -> tuple[dict[str, QueueHealth], float]:
    """Every queue's health, and how long the answer took."""
    began = time.monotonic()
    operation = await house.health.check_health(CheckHealthRequest())
    answer = await operation.result(90)
    return {queue.queue: queue for queue in answer.queues}, time.monotonic() - began


async def test_every_queue_answers_with_its_latency_and_providers(house: House) -> None:
    queues, _ = await check(house)
    assert sorted(queues) == [queue.name for queue in QUEUES]
    for queue in queues.values():
        assert queue.healthy
        assert not queue.reason
        assert 0 < queue.latency.ToMilliseconds() < 10_000
    assert "postgres" in queues["nexpo-db"].providers
    assert list(queues["nexpo-ai"].providers) == ["claude"]


async def test_a_dead_worker_is_a_part_of_the_answer(house: House) -> None:
    async with house.killed("cloud-worker"):
        queues, seconds = await check(house)
    assert seconds < 15
    dead = queues.pop("nexpo-cloud")
    assert not dead.healthy
    assert dead.reason in ("WORKER_UNAVAILABLE", "DEADLINE_EXCEEDED")
    assert all(queue.healthy for queue in queues.values())


async def test_a_read_whose_worker_is_dead_is_told_so_within_its_deadline(house: House) -> None:
    user = GetUserRequest(user_id="5f0c5ad6-3c0f-5c44-9a3c-6f3d6b1c9f10")
    async with house.killed("db-worker"):
        began = time.monotonic()
        error = await refusal(house.users.get_user(user, timeout=3))
        assert time.monotonic() - began < 10
        answer = await house.rest("GET", f"/v1/users/{user.user_id}")
    assert error.reason == "WORKER_UNAVAILABLE"
    assert (answer.status_code, answer.json()["reason"]) == (503, "WORKER_UNAVAILABLE")
    assert (await refusal(house.users.get_user(user))).reason == "USER_NOT_FOUND"


@pytest.mark.parametrize(
    "credential", [None, "Bearer wrong", "the user's"], ids=["none", "wrong", "a user's"]
)
@pytest.mark.parametrize("worker", ["db-worker", "cloud-worker", "ai-worker"])
async def test_a_workers_grpc_is_for_the_gateway_alone(
    house: House, worker: str, credential: str | None
) -> None:
    method = {
        "db-worker": "/nexpo.users.v1.UserService/ListUsers",
        "cloud-worker": "/nexpo.cloud.v1.CloudActivities/CreateHome",
        "ai-worker": "/nexpo.ai.v1.AiActivities/WriteWelcome",
    }[worker]
    metadata = [("nexpo-tenant", TENANT)]
    if credential is not None:
        own = f"Bearer {house.stack.api_key}"
        metadata.append(("authorization", own if credential == "the user's" else credential))
    async with grpc.aio.insecure_channel(house.stack.services[worker].grpc_address) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"", timeout=10, metadata=metadata)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
