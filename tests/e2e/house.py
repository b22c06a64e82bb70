"""The running house: every server and service, and what a user, an operator and a vandal can do."""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import grpc.aio
import httpx
import pytest
from temporalio.client import Client, WorkflowHandle

from nexpo.client import NexpoError
from nexpo.health.v1.health_client import HealthServiceClient
from nexpo.operations.v1.operations_client import OperationServiceClient, OperationTaskServiceClient
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_client import OnboardUserOperation, UserServiceClient
from nexpo.users.v1.users_pb2 import (
    DeleteUserRequest,
    DeleteUserResponse,
    OnboardUserRequest,
    OnboardUserResponse,
    UpdateUserRequest,
    User,
)
from nexpo_dev.demo.witnesses import Testimony, Witnesses
from nexpo_dev.stack import Stack
from nexpo_runtime.names import OperationName

TENANT = "dev"
STORES = ("postgres", "mongodb", "cosmosdb", "sqlserver", "supabase")
PATIENCE = 90.0

_TRIGGER = """
CREATE FUNCTION e2e_refusal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ({condition}) THEN
        RAISE EXCEPTION 'refused from outside' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER e2e_refusal BEFORE INSERT OR UPDATE ON dbo.nexpo_users
    FOR EACH ROW EXECUTE FUNCTION e2e_refusal();
"""


def new_email() -> str:
    """An address that nobody has."""
    return f"u{uuid.uuid4().hex[:10]}@example.com"


def person(email: str = "", **fields: Any) -> OnboardUserRequest:
    """Somebody to onboard."""
    fields = {"display_name": "Ada", "password": "correct horse battery", **fields}
    request = OnboardUserRequest(email=email or new_email(), **fields)
    request.profile.locale = "en"
    request.profile.plan = "pro"
    return request


async def refusal(call: Awaitable[object]) -> NexpoError:
    """The error that a call ends with."""
    with pytest.raises(NexpoError) as refused:
        await call
    return refused.value


class House:
    """The stack and its clients.

    Args:
        stack: Started.
        channel: To the gateway.
    """

    def __init__(self, stack: Stack, channel: grpc.aio.Channel) -> None:
        self.stack = stack
        self.metadata = [("authorization", f"Bearer {stack.api_key}")]
        self.users = UserServiceClient(channel, self.metadata)
        self.operations = OperationServiceClient(channel, self.metadata)
        self.tasks = OperationTaskServiceClient(channel, self.metadata)
        self.health = HealthServiceClient(channel, self.metadata)
        self.witnesses = Witnesses(stack.servers, TENANT)

    async def rest(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Calls the REST API."""
        async with httpx.AsyncClient(trust_env=False, timeout=90) as http:
            return await http.request(
                method,
                self.stack.gateway.url + path,
                json=body,
                headers={"authorization": f"Bearer {self.stack.api_key}"},
            )

    async def link(self, email: str) -> str:
        """The link in the latest verification mail, once it has arrived."""
        url = f"{self.stack.servers.mailbox.url}/mails"
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as http:
            while True:
                for mail in reversed((await http.get(url, params={"to": email})).json()):
                    if found := re.search(r"https?://\S+[?&]token=[^&\s]+", mail["text"]):
                        return found[0]
                await asyncio.sleep(0.05)

    async def token(self, email: str) -> str:
        """The token in that link."""
        return parse_qs(urlsplit(await self.link(email)).query)["token"][0]

    async def waiting(self, operation: OnboardUserOperation) -> Progress:
        """The progress as soon as the operation waits for its person."""
        async for progress in operation.watch(PATIENCE):
            if progress.state == Progress.WAITING:
                return progress
        raise AssertionError(f"{operation.name} ended and did not wait")

    async def verify(self, operation: OnboardUserOperation, email: str) -> OnboardUserResponse:
        """Does what the mail asks for, and waits for the end."""
        await self.waiting(operation)
        await operation.verify_email(token=await self.token(email))
        return await operation.result(PATIENCE)

    async def active(self, email: str = "", **fields: Any) -> OnboardUserResponse:
        """Somebody who is onboarded."""
        request = person(email, **fields)
        return await self.verify(await self.users.onboard_user(request), request.email)

    async def update(self, request: UpdateUserRequest) -> User:
        """Changes a user. Raises: NexpoError."""
        return await (await self.users.update_user(request)).result(PATIENCE)

    async def delete(self, user_id: str, etag: str = "") -> DeleteUserResponse:
        """Deletes a user. Raises: NexpoError."""
        request = DeleteUserRequest(user_id=user_id, etag=etag)
        return await (await self.users.delete_user(request)).result(PATIENCE)

    async def found(self, email: str) -> dict[str, Testimony]:
        """What every database has of an address."""
        found = await self.witnesses.of(email, await self.witnesses.homes())
        return {one.store: one for one in found if one.store in STORES}

    async def nowhere(self, email: str) -> bool:
        """Whether no database has the address."""
        return not any(one.ids for one in (await self.found(email)).values())

    async def workflow(self, operation: str) -> WorkflowHandle[object, object]:
        """The operation's workflow as Temporal shows it to one without keys."""
        at = self.stack.servers.temporal
        client = await Client.connect(at.url, namespace=at.namespace)
        name = OperationName.parse(operation)
        return client.get_workflow_handle(name.workflow_id, first_execution_run_id=name.run_id)

    async def retried(self, operation: str, step: str) -> None:
        """Waits until a step's first attempt has failed."""
        handle = await self.workflow(operation)
        async with asyncio.timeout(PATIENCE):
            while True:
                pending = (await handle.describe()).raw_description.pending_activities
                if any(p.activity_id == step and p.attempt > 1 for p in pending):
                    return
                await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def refused(self, condition: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """SQL Server's own database refuses rows, NEW, of this condition; the value mends it."""
        mended = False

        async def mend() -> None:
            nonlocal mended
            if not mended:
                mended = True
                await self._sql("DROP FUNCTION e2e_refusal CASCADE")

        await self._sql(_TRIGGER.format(condition=condition))
        try:
            yield mend
        finally:
            await mend()

    @contextlib.asynccontextmanager
    async def restarted(self, service: str, **settings: str) -> AsyncIterator[None]:
        """A service with other settings, for a while."""
        process = self.stack.services[service]
        before = process.settings
        try:
            await process.stop()
            process.settings = {**before, **settings}
            await process.start()
            await self.well()
            yield
        finally:
            await process.stop()
            process.settings = before
            await process.start()
            await self.well()

    @contextlib.asynccontextmanager
    async def killed(self, service: str) -> AsyncIterator[None]:
        """A service is dead, for a while."""
        process = self.stack.services[service]
        await process.kill()
        try:
            yield
        finally:
            await process.start()
            await self.well()

    async def well(self) -> None:
        """Waits until the gateway sees everything."""
        async with asyncio.timeout(PATIENCE):
            while await self.stack.gateway.status() != "ok":  # noqa: ASYNC110  # over HTTP
                await asyncio.sleep(0.1)

    async def _sql(self, statement: str) -> None:
        connection = await asyncpg.connect(self.stack.servers.sqlserver.postgres.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def store_named(name: str) -> str:
    """STORE_POSTGRES for "postgres"."""
    return f"databases/{name}"
