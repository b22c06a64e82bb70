"""A new account: who it is, and the home that belongs to it."""

from __future__ import annotations

from nexpo.cloud.v1.cloud_pb2 import CreateHomeRequest, CreateHomeResponse, RemoveHomeRequest
from nexpo.cloud.v1.cloud_temporal import cloud_activities as cloud
from nexpo.users.v1.users_pb2 import OnboardUserRequest, User
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.saga import Saga, SagaStep


def user_id() -> str:
    """The id of the operation's user."""
    return flow.derived_id("user")


def pending_user(request: OnboardUserRequest) -> User:
    """The user who is asked for, before the address is verified."""
    user = User(
        user_id=user_id(),
        email=request.email,
        display_name=request.display_name,
        state=User.PENDING,
        profile=request.profile if request.HasField("profile") else None,
        etag=flow.derived_id("etag", "created"),
    )
    user.create_time.FromDatetime(flow.now())
    user.update_time.FromDatetime(flow.now())
    return user


def provisioned(saga: Saga, user: User) -> SagaStep[CreateHomeResponse]:
    """The step that makes the user's home; undone by its removal."""
    return saga.step(
        "provision home",
        cloud.create_home(CreateHomeRequest(user_id=user.user_id)),
        undo=cloud.remove_home(RemoveHomeRequest(user_id=user.user_id)),
        target="object storage",
    )
