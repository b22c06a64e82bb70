"""What a key means to those who call users' methods; driven on both surfaces and engines."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from nexpo.client import NexpoError
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_client import OnboardUserOperation
from nexpo.users.v1.users_pb2 import (
    DeleteUserRequest,
    UpdateUserRequest,
)
from tests.e2e.house import House, new_email, person


@dataclass(frozen=True)
class Refusal:
    """Why a call was refused, and what is wrong with which field."""

    reason: str
    fields: tuple[str, ...]


REUSED_FOR_ANOTHER_METHOD = Refusal("REQUEST_ID_REUSED", ("method",))


@dataclass(frozen=True)
class Desk:
    """Makes the calls on one surface; each returns a name, an answer or a Refusal."""

    house: House
    surface: str

    async def onboard(self, email: str, key: str) -> object:
        request = person(email, request_id=key)
        body = {"email": email, "displayName": request.display_name, "password": request.password}
        return await self._made(
            lambda: self.house.users.onboard_user(request),
            ("POST", "/v1/users:onboard", {**body, "requestId": key}),
        )

    async def delete(self, user_id: str, key: str) -> object:
        request = DeleteUserRequest(user_id=user_id, request_id=key)
        target = f"/v1/users/{user_id}?requestId={key}"
        return await self._made(
            lambda: self.house.users.delete_user(request), ("DELETE", target, None)
        )

    async def update(self, user_id: str, key: str) -> object:
        request = UpdateUserRequest(user_id=user_id, display_name="New", request_id=key)
        request.update_mask.paths.append("display_name")
        body = {"displayName": "New", "updateMask": "displayName", "requestId": key}
        return await self._made(
            lambda: self.house.users.update_user(request), ("PATCH", f"/v1/users/{user_id}", body)
        )

    async def verify(self, operation: OnboardUserOperation, token: str, key: str) -> object:
        return await self._made(
            lambda: operation.verify_email(token=token, request_id=key),
            ("POST", f"/v1/{operation.name}:verifyEmail", {"token": token, "requestId": key}),
        )

    async def resend(self, operation: OnboardUserOperation, key: str) -> object:
        return await self._made(
            lambda: operation.resend_verification(request_id=key),
            ("POST", f"/v1/{operation.name}:resendVerification", {"requestId": key}),
        )

    async def _made(
        self, over_grpc: Callable[[], Awaitable[Any]], over_rest: tuple[str, str, object]
    ) -> object:
        if self.surface == "rest":
            answer = (await self.house.rest(*over_rest)).json()
            if "reason" in answer:
                fields = tuple(error["field"] for error in answer.get("errors", ()))
                return Refusal(answer["reason"], fields)
            return answer.get("name") or answer
        try:
            made = await over_grpc()
        except NexpoError as error:
            return Refusal(error.reason, tuple(error.fields))
        return getattr(made, "name", made)


@asynccontextmanager
async def _waiting(house: House) -> AsyncIterator[tuple[OnboardUserOperation, str]]:
    """An onboarding that waits for its person, and the person's token."""
    email = new_email()
    operation = await house.users.onboard_user(person(email))
    await house.waiting(operation)
    yield operation, await house.token(email)


async def a_resend_is_not_taken_for_a_confirmation(desk: Desk) -> None:
    async with _waiting(desk.house) as (operation, token):
        first = await desk.resend(operation, "same")
        assert not isinstance(first, Refusal)
        assert await desk.verify(operation, "wrong", "same") == REUSED_FOR_ANOTHER_METHOD
        assert await desk.verify(operation, token, "same") == REUSED_FOR_ANOTHER_METHOD
        assert await desk.resend(operation, "same") == first
        assert (await operation.progress()).state == Progress.WAITING
        await operation.cancel()


async def a_wrong_token_does_not_stand_for_the_right_one(desk: Desk) -> None:
    async with _waiting(desk.house) as (operation, token):
        wrong = Refusal("TOKEN_WRONG", ())
        many = [desk.verify(operation, "wrong", "same") for _ in range(8)]
        assert await asyncio.gather(*many) == [wrong] * 8  # eight counted ones would lock it
        reused = Refusal("REQUEST_ID_REUSED", ("token",))
        assert await desk.verify(operation, token, "same") == reused
        right = await desk.verify(operation, token, "another")
        assert not isinstance(right, Refusal)
        assert await desk.verify(operation, token, "another") == right
        await operation.result(60)
        assert await desk.verify(operation, token, "another") == right


async def a_key_does_not_stand_for_two_methods(desk: Desk) -> None:
    key, email = uuid.uuid4().hex, new_email()
    name = await desk.onboard(email, key)
    user_id = str(uuid.uuid4())
    assert await desk.delete(user_id, key) == REUSED_FOR_ANOTHER_METHOD
    assert await desk.update(user_id, key) == REUSED_FOR_ANOTHER_METHOD
    assert await desk.onboard(email, key) == name
    assert await desk.onboard(new_email(), key) == Refusal("REQUEST_ID_REUSED", ("email",))


async def a_key_does_not_stand_for_two_users(desk: Desk) -> None:
    key, one, other = uuid.uuid4().hex, str(uuid.uuid4()), str(uuid.uuid4())
    name = await desk.update(one, key)
    assert not isinstance(name, Refusal)
    assert await desk.update(other, key) == Refusal("REQUEST_ID_REUSED", ("user_id",))
    assert await desk.update(one, key) == name


async def the_same_start_at_once_is_one_operation(desk: Desk) -> None:
    key, email = uuid.uuid4().hex, new_email()
    names = await asyncio.gather(*(desk.onboard(email, key) for _ in range(6)))
    assert len(set(names)) == 1
    assert not isinstance(names[0], Refusal)


Case = Callable[[Desk], Awaitable[None]]
CASES: tuple[Case, ...] = (
    a_resend_is_not_taken_for_a_confirmation,
    a_wrong_token_does_not_stand_for_the_right_one,
    a_key_does_not_stand_for_two_methods,
    a_key_does_not_stand_for_two_users,
    the_same_start_at_once_is_one_operation,
)
