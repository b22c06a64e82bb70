"""The generated client over real gRPC.

The server is a fake of the gateway, made of the generated servicers: it plays one
onboarding and remembers what it was asked. The client against the gateway itself
is tested where the services meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import grpc.aio
import pytest
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from nexpo.client import NexpoError
from nexpo.operations.v1 import operations_pb2 as progress_pb2
from nexpo.operations.v1 import operations_pb2_grpc
from nexpo.operations.v1.operations_client import OperationServiceClient
from nexpo.users.v1 import users_pb2, users_pb2_grpc
from nexpo.users.v1.users_client import UserServiceClient

NAME = "operations/acme~nexpo.users.v1.OnboardUser~r1~run"


@dataclass
class Gateway:
    """What the fake gateway answers, and what it was asked."""

    operation: operations_pb2.Operation
    verified: list[users_pb2.VerifyEmailRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    metadata: dict[str, str | bytes] = field(default_factory=dict)
    waits: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    stays: bool = False
    """Whether a stream goes on without an end after its first frame."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has left a stream."""

    def end(self, user_id: str) -> None:
        """Ends the operation well."""
        response = users_pb2.OnboardUserResponse(user=users_pb2.User(user_id=user_id))
        self.operation.done = True
        self.operation.response.Pack(response)


def status(reason: str, code: int) -> status_pb2.Status:
    """The status of a reason, as the gateway makes it."""
    result = status_pb2.Status(code=code, message="One sentence.")
    info = error_details_pb2.ErrorInfo(reason=reason, domain="nexpo", metadata={"hint": "A hint."})
    result.details.add().Pack(info)
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="email", description="is taken")
    result.details.add().Pack(bad)
    return result


class Users(users_pb2_grpc.UserServiceServicer):
    """Starts and verifies."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def OnboardUser(  # noqa: N802  # gRPC's name
        self,
        request: users_pb2.OnboardUserRequest,
        context: grpc.aio.ServicerContext[users_pb2.OnboardUserRequest, operations_pb2.Operation],
    ) -> operations_pb2.Operation:
        self.gateway.metadata = dict(context.invocation_metadata() or ())
        if not request.email:
            failure = status("EMAIL_TAKEN", code_pb2.ALREADY_EXISTS)
            await context.abort(
                grpc.StatusCode.ALREADY_EXISTS,
                failure.message,
                (("grpc-status-details-bin", failure.SerializeToString()),),
            )
        return self.gateway.operation

    async def VerifyEmail(  # noqa: N802  # gRPC's name
        self,
        request: users_pb2.VerifyEmailRequest,
        context: grpc.aio.ServicerContext[
            users_pb2.VerifyEmailRequest, users_pb2.VerifyEmailResponse
        ],
    ) -> users_pb2.VerifyEmailResponse:
        self.gateway.verified.append(request)
        self.gateway.end("u1")
        return users_pb2.VerifyEmailResponse(user_id="u1")


class Operations(operations_pb2_grpc.OperationServiceServicer):
    """Gets, waits, watches and cancels."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def GetOperation(  # noqa: N802  # gRPC's name
        self,
        request: operations_pb2.GetOperationRequest,
        context: grpc.aio.ServicerContext[
            operations_pb2.GetOperationRequest, operations_pb2.Operation
        ],
    ) -> operations_pb2.Operation:
        return self.gateway.operation

    async def WaitOperation(  # noqa: N802  # gRPC's name
        self,
        request: operations_pb2.WaitOperationRequest,
        context: grpc.aio.ServicerContext[
            operations_pb2.WaitOperationRequest, operations_pb2.Operation
        ],
    ) -> operations_pb2.Operation:
        self.gateway.waits.put_nowait(request.name)
        await asyncio.sleep(min(0.02, request.timeout.ToNanoseconds() / 1e9))
        return self.gateway.operation

    async def WatchOperation(  # noqa: N802  # gRPC's name
        self,
        request: progress_pb2.WatchOperationRequest,
        context: grpc.aio.ServicerContext[
            progress_pb2.WatchOperationRequest, operations_pb2.Operation
        ],
    ) -> AsyncIterator[operations_pb2.Operation]:
        for percent in (0, 50, 100):
            frame = operations_pb2.Operation(name=request.name, done=percent == 100)
            frame.metadata.Pack(progress_pb2.Progress(percent=percent))
            yield frame
            if self.gateway.stays:
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    self.gateway.left.set()

    async def CancelOperation(  # noqa: N802  # gRPC's name
        self,
        request: operations_pb2.CancelOperationRequest,
        context: grpc.aio.ServicerContext[operations_pb2.CancelOperationRequest, empty_pb2.Empty],
    ) -> empty_pb2.Empty:
        self.gateway.cancelled.append(request.name)
        return empty_pb2.Empty()


@pytest.fixture
def gateway() -> Gateway:
    """One operation that runs."""
    operation = operations_pb2.Operation(name=NAME)
    operation.metadata.Pack(progress_pb2.Progress(percent=40))
    return Gateway(operation)


@pytest.fixture
async def channel(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the fake gateway."""
    server = grpc.aio.server()
    users = Users(gateway)  # type: ignore[abstract]  # plays a part of the service only
    operations = Operations(gateway)  # type: ignore[abstract]  # the same
    users_pb2_grpc.add_UserServiceServicer_to_server(users, server)
    operations_pb2_grpc.add_OperationServiceServicer_to_server(operations, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


@pytest.fixture
def client(channel: grpc.aio.Channel) -> UserServiceClient:
    """A client with a credential."""
    return UserServiceClient(channel, metadata=[("authorization", "Bearer key")])


REQUEST = users_pb2.OnboardUserRequest(email="ada@example.com")


async def test_an_operation_is_started_updated_and_awaited(
    client: UserServiceClient, gateway: Gateway
) -> None:
    operation = await client.onboard_user(REQUEST)
    assert operation.name == NAME

    answer = await operation.verify_email(token="secret", request_id="v1")

    assert answer.user_id == "u1"
    assert gateway.verified == [
        users_pb2.VerifyEmailRequest(operation=NAME, token="secret", request_id="v1")
    ]
    assert (await operation.result()).user.user_id == "u1"


async def test_the_metadata_goes_with_every_call(
    client: UserServiceClient, gateway: Gateway
) -> None:
    await client.onboard_user(REQUEST)

    assert gateway.metadata["authorization"] == "Bearer key"


async def test_result_asks_again_until_the_operation_has_ended(
    client: UserServiceClient, gateway: Gateway
) -> None:
    operation = await client.onboard_user(REQUEST)
    waiting = asyncio.create_task(operation.result())
    for _ in range(3):
        await gateway.waits.get()
    assert not waiting.done()

    gateway.end("u2")

    assert (await waiting).user.user_id == "u2"


async def test_result_gives_up_at_its_time_out_and_can_be_asked_again(
    client: UserServiceClient, gateway: Gateway
) -> None:
    operation = await client.onboard_user(REQUEST)
    with pytest.raises(TimeoutError, match="still runs after"):
        await operation.result(timeout=0.05)

    gateway.end("u3")

    assert (await operation.result(timeout=60)).user.user_id == "u3"


async def test_an_operation_that_failed_raises_its_reason(
    client: UserServiceClient, gateway: Gateway
) -> None:
    gateway.operation.done = True
    gateway.operation.error.CopyFrom(status("STORE_REFUSED", code_pb2.FAILED_PRECONDITION))
    operation = await client.onboard_user(REQUEST)

    with pytest.raises(NexpoError) as caught:
        await operation.result()

    assert caught.value.reason == "STORE_REFUSED"
    assert caught.value.code == code_pb2.FAILED_PRECONDITION


async def test_a_refused_call_raises_reason_hint_and_fields(client: UserServiceClient) -> None:
    with pytest.raises(NexpoError, match=r"EMAIL_TAKEN: One sentence\.") as caught:
        await client.onboard_user(users_pb2.OnboardUserRequest())

    assert caught.value.hint == "A hint."
    assert caught.value.fields == {"email": "is taken"}


async def test_a_gateway_that_is_away_raises_without_a_reason() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as nowhere:
        with pytest.raises(NexpoError) as caught:
            await UserServiceClient(nowhere).onboard_user(REQUEST)

    assert caught.value.code == code_pb2.UNAVAILABLE
    assert caught.value.reason == ""


async def test_a_result_of_another_type_is_not_taken_for_the_right_one(
    client: UserServiceClient, gateway: Gateway
) -> None:
    gateway.operation.done = True
    gateway.operation.response.Pack(users_pb2.User(user_id="u1"))

    with pytest.raises(TypeError, match=r"nexpo\.users\.v1\.User"):
        await (await client.onboard_user(REQUEST)).result()


async def test_an_operation_is_found_again_by_its_name(
    client: UserServiceClient, gateway: Gateway
) -> None:
    operation = client.onboard_user_operation(NAME)

    assert (await operation.progress()).percent == 40
    assert [progress.percent async for progress in operation.watch()] == [0, 50, 100]
    await operation.cancel()
    assert gateway.cancelled == [NAME]


async def test_a_stream_that_is_left_early_ends_on_the_server_too(
    client: UserServiceClient, gateway: Gateway
) -> None:
    gateway.stays = True
    seen = []
    async for progress in client.onboard_user_operation(NAME).watch():
        seen.append(progress.percent)
        assert not gateway.left.is_set()
        break

    assert seen == [0]
    await asyncio.wait_for(gateway.left.wait(), 90)


async def test_operations_are_served_to_the_plain_client_too(channel: grpc.aio.Channel) -> None:
    client = OperationServiceClient(channel)
    request = progress_pb2.WatchOperationRequest(name=NAME)

    frames = [frame.done async for frame in client.watch_operation(request)]

    assert frames == [False, False, True]
