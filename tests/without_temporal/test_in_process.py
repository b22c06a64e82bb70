"""ENABLE_TEMPORAL=false: the same operations, in the gateway's memory, not durable."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import grpc.aio
import httpx
import pytest
import pytest_asyncio

from nexpo.client import NexpoError
from nexpo.health.v1.health_client import HealthServiceClient
from nexpo.health.v1.health_pb2 import CheckHealthRequest
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_client import UserServiceClient
from nexpo.users.v1.users_pb2 import DeleteUserRequest, GetUserRequest, OnboardUserRequest, User
from nexpo_dev.stack import SERVERS, SERVICES, Stack
from tests.e2e.house import House
from tests.key_cases import CASES, Case, Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORES = ("postgres", "mongodb")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Everything but Temporal, with two stores."""
    away = {"temporal", "cosmosdb", "sqlserver", "supabase"}
    folder: Path = tmp_path_factory.mktemp("in-process")
    stack = Stack(folder, only=[name for name in (*SERVERS, *SERVICES) if name not in away])
    async with stack:
        yield stack
    stack.remove()


@pytest_asyncio.fixture(loop_scope="module")
async def channel(stack: Stack) -> AsyncIterator[grpc.aio.Channel]:
    """To the gateway."""
    async with grpc.aio.insecure_channel(stack.gateway.grpc_address) as channel:
        yield channel


def metadata(stack: Stack) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {stack.api_key}")]


def request(email: str, request_id: str = "") -> OnboardUserRequest:
    return OnboardUserRequest(
        email=email, display_name="Ada", password="correct horse", request_id=request_id
    )


async def token_of(stack: Stack, email: str) -> str:
    """The token in the verification mail; the operation has said that it was sent."""
    async with httpx.AsyncClient(trust_env=False) as http:
        url = f"{stack.servers.mailbox.url}/mails"
        mails = (await http.get(url, params={"to": email})).json()
    found = re.search(r"[?&]token=([^&\s]+)", mails[0]["text"])
    assert found is not None
    return unquote(found[1])


async def test_an_onboarding_runs_whole_and_says_that_it_is_not_durable(
    stack: Stack, channel: grpc.aio.Channel
) -> None:
    client = UserServiceClient(channel, metadata(stack))
    operation = await client.onboard_user(request("ada@example.com"))
    frames: list[Progress] = []
    async for progress in operation.watch(30):
        frames.append(progress)
        if progress.state == Progress.WAITING:
            break
    assert len(frames) > 2
    assert not any(progress.durable for progress in frames)
    with pytest.raises(NexpoError) as wrong:
        await operation.verify_email(token="wrong")
    assert wrong.value.reason == "TOKEN_WRONG"
    await operation.verify_email(token=await token_of(stack, "ada@example.com"))
    result = await operation.result(30)
    assert result.user.state == User.ACTIVE
    assert len(result.record_ids) == len(STORES)
    user = await client.get_user(GetUserRequest(user_id=result.user.user_id))
    assert user.user == result.user
    gone = await client.delete_user(DeleteUserRequest(user_id=result.user.user_id))
    await gone.result(30)
    with pytest.raises(NexpoError) as missing:
        await client.get_user(GetUserRequest(user_id=result.user.user_id))
    assert missing.value.reason == "USER_NOT_FOUND"


async def test_a_request_id_names_one_operation(stack: Stack, channel: grpc.aio.Channel) -> None:
    client = UserServiceClient(channel, metadata(stack))
    first = await client.onboard_user(request("ben@example.com", "same"))
    again = await client.onboard_user(request("ben@example.com", "same"))
    assert again.name == first.name
    with pytest.raises(NexpoError) as reused:
        await client.onboard_user(request("eve@example.com", "same"))
    assert reused.value.reason == "REQUEST_ID_REUSED"
    assert "email" in reused.value.fields
    await first.cancel()
    with pytest.raises(NexpoError) as cancelled:
        await first.result(30)
    assert cancelled.value.reason == "OPERATION_CANCELLED"
    progress = await first.progress()
    assert progress.state == Progress.CANCELLED


@pytest.mark.parametrize("surface", ["grpc", "rest"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_a_key_means_one_call(
    stack: Stack, channel: grpc.aio.Channel, case: Case, surface: str
) -> None:
    await case(Desk(House(stack, channel), surface))


async def test_every_queue_is_probed(stack: Stack, channel: grpc.aio.Channel) -> None:
    client = HealthServiceClient(channel, metadata(stack))
    result = await (await client.check_health(CheckHealthRequest())).result(15)
    assert result.healthy
    assert len(result.queues) == 4


async def test_a_restart_loses_the_operations_and_the_log_says_so(
    stack: Stack, channel: grpc.aio.Channel
) -> None:
    client = UserServiceClient(channel, metadata(stack))
    operation = await client.onboard_user(request("kim@example.com"))
    await stack.gateway.stop()
    await stack.gateway.start()
    with pytest.raises(NexpoError) as lost:
        await operation.progress()
    assert lost.value.reason == "OPERATION_NOT_FOUND"
    log = stack.gateway.log.read_text()
    assert "operations are not durable" in log
    assert "operations are lost" in log
