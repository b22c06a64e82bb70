"""The onboarding as a workflow of the bare SDK: the same steps, in the same order, with undo.

What the house adds is missing here on purpose: tenants, a catalogue of errors, deadlines
that undo, tasks for humans; and progress, but for the batch that shows what it costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from nexpo.ai.v1.ai_pb2 import WriteWelcomeRequest, WriteWelcomeResponse
from nexpo.cloud.v1.cloud_pb2 import (
    CreateHomeRequest,
    CreateHomeResponse,
    RemoveHomeRequest,
    RemoveHomeResponse,
)
from nexpo.notifications.v1.notifications_pb2 import (
    SendVerificationRequest,
    SendVerificationResponse,
    SendWelcomeRequest,
    SendWelcomeResponse,
)
from nexpo.users.v1.user_records_pb2 import (
    CreateUserRequest,
    CreateUserResponse,
    DescribeDatabasesRequest,
    DescribeDatabasesResponse,
    ReleaseEmailRequest,
    ReleaseEmailResponse,
    RemoveUserRequest,
    RemoveUserResponse,
    ReplaceUserRequest,
    ReplaceUserResponse,
    ReserveEmailRequest,
    ReserveEmailResponse,
)
from nexpo.users.v1.users_pb2 import (
    OnboardUserRequest,
    OnboardUserResponse,
    RecordId,
    User,
    VerifyEmailRequest,
    VerifyEmailResponse,
)

ResponseT = TypeVar("ResponseT", bound=Message)

FLOW, DATA, CLOUD, AI = (f"bare-{name}" for name in ("flow", "data", "cloud", "ai"))
"""Task queues: as many processes as the house has."""

PROGRESS = "progress"
"""A memo that, where an onboarding begins with it, tells every step; the house's always does."""

_RETRY = RetryPolicy(maximum_attempts=5)


@workflow.defn
class BareOnboarding:
    """Reserve, create everywhere, verify, activate, welcome."""

    def __init__(self) -> None:
        self.digest = ""
        self.verified = False
        self.undo: list[Callable[[], Coroutine[Any, Any, Message]]] = []

    @workflow.run
    async def run(self, request: OnboardUserRequest) -> OnboardUserResponse:
        """Runs to the end; undoes when a step fails before the address is verified."""
        try:
            return await self._onboard(request)
        except BaseException:
            if not self.verified:
                for undo in reversed(self.undo):
                    await asyncio.shield(undo())
            raise

    @workflow.update
    async def verify_email(self, request: VerifyEmailRequest) -> VerifyEmailResponse:
        """Confirms the address."""
        self.verified = request.token_digest == self.digest
        return VerifyEmailResponse()

    @verify_email.validator
    def _check_verification(self, request: VerifyEmailRequest) -> None:
        if not self.digest:
            raise ApplicationError("No mail was sent yet.")

    async def _onboard(self, request: OnboardUserRequest) -> OnboardUserResponse:
        user = _new_user(request)
        known = await _call(
            "describe_databases", DescribeDatabasesRequest(), DescribeDatabasesResponse, DATA
        )
        key = workflow.info().workflow_id
        self.undo.append(
            lambda: _call(
                "release_email",
                ReleaseEmailRequest(key=f"{key}/reserve"),
                ReleaseEmailResponse,
                DATA,
            )
        )
        reservation = ReserveEmailRequest(email=user.email, key=f"{key}/reserve")
        await _call("reserve_email", reservation, ReserveEmailResponse, DATA)
        creates = [self._create(store, user, request, known) for store in known.enabled]
        *ids, home = await asyncio.gather(*creates, self._provide_home(user))
        text = await self._text(user, request)
        await self._verify(user)
        await self._activate(user, known)
        welcome = SendWelcomeRequest(email=user.email, display_name=user.display_name, text=text)
        welcome.key = f"{key}/welcome"
        await _call("send_welcome", welcome, SendWelcomeResponse, FLOW)
        pairs = zip(known.enabled, ids, strict=True)
        record_ids = [RecordId(database=store, id=answer.id) for store, answer in pairs]
        return OnboardUserResponse(
            user=user, record_ids=record_ids, home_uri=home.uri, welcome_text=text
        )

    def _create(
        self, store: Any, user: User, request: OnboardUserRequest, known: DescribeDatabasesResponse
    ) -> Coroutine[Any, Any, Any]:
        key = f"{workflow.info().workflow_id}/create in {store}"
        removal = RemoveUserRequest(database=store, key=key)
        self.undo.append(lambda: _call("remove_user", removal, RemoveUserResponse, DATA))
        create = CreateUserRequest(database=store, key=key)
        create.record.user.CopyFrom(user)
        if store == known.authority:
            create.record.password_hash = request.password_hash
        return _call("create_user", create, CreateUserResponse, DATA)

    def _provide_home(self, user: User) -> Coroutine[Any, Any, Any]:
        key = f"{workflow.info().workflow_id}/home"
        removal = RemoveHomeRequest(user_id=user.user_id, key=key)
        self.undo.append(lambda: _call("remove_home", removal, RemoveHomeResponse, CLOUD))
        home = CreateHomeRequest(user_id=user.user_id, key=key)
        return _call("create_home", home, CreateHomeResponse, CLOUD)

    async def _text(self, user: User, request: OnboardUserRequest) -> str:
        profile = request.profile
        ask = WriteWelcomeRequest(
            display_name=user.display_name,
            locale=profile.locale,
            plan=profile.plan,
            key=f"{workflow.info().workflow_id}/text",
        )
        try:
            return (await _call("write_welcome", ask, WriteWelcomeResponse, AI)).text
        except ActivityError:
            return f"Hello {user.display_name}"

    async def _verify(self, user: User) -> None:
        send = SendVerificationRequest(
            email=user.email,
            display_name=user.display_name,
            operation=workflow.info().workflow_id,
            key=f"{workflow.info().workflow_id}/verification",
        )
        sent = await _call("send_verification", send, SendVerificationResponse, FLOW)
        self.digest = sent.token_digest
        await workflow.wait_condition(lambda: self.verified, timeout=timedelta(hours=24))

    async def _activate(self, user: User, known: DescribeDatabasesResponse) -> None:
        created = user.etag
        user.state, user.etag = User.ACTIVE, str(workflow.uuid4())
        user.update_time.FromDatetime(workflow.now())
        replacements = [
            ReplaceUserRequest(database=store, user=user, expected_etags=[created])
            for store in known.enabled
        ]
        await asyncio.gather(
            *(_call("replace_user", one, ReplaceUserResponse, DATA) for one in replacements)
        )


def _new_user(request: OnboardUserRequest) -> User:
    user = User(
        user_id=str(workflow.uuid4()),
        email=request.email,
        display_name=request.display_name,
        state=User.PENDING,
        etag=str(workflow.uuid4()),
        profile=request.profile,
    )
    user.create_time.FromDatetime(workflow.now())
    user.update_time.FromDatetime(workflow.now())
    return user


async def _call(name: str, request: Message, response: type[ResponseT], queue: str) -> ResponseT:
    answer: ResponseT = await workflow.execute_activity(
        name,
        request,
        task_queue=queue,
        result_type=response,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=_RETRY,
    )
    if PROGRESS in workflow.memo():
        workflow.upsert_memo({PROGRESS: name})
    return answer
