"""The bodies of the steps: the stores' own code, the same that the house's activities call."""

from __future__ import annotations

from temporalio import activity

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
    VerificationKind,
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
from nexpo_ai_worker.claude.client import Claude
from nexpo_ai_worker.content import welcome
from nexpo_cloud_worker.homes.homes import Homes
from nexpo_db_worker.users.users import UserDatabases
from nexpo_gateway.processes.mail import smtp, wording
from nexpo_gateway.processes.mail.activities import digest, make_token
from nexpo_gateway.processes.mail.settings import MailSettings

from ..rig import TENANT


class DataSteps:
    """What is done in the stores."""

    def __init__(self, users: UserDatabases) -> None:
        self._users = users

    @activity.defn(name="describe_databases")
    async def describe_databases(
        self, request: DescribeDatabasesRequest
    ) -> DescribeDatabasesResponse:
        """Which there are."""
        return DescribeDatabasesResponse(
            enabled=self._users.all, authority=self._users.authority.database
        )

    @activity.defn(name="reserve_email")
    async def reserve_email(self, request: ReserveEmailRequest) -> ReserveEmailResponse:
        """Takes an address."""
        resource = f"email:{request.email}"
        if not await self._users.authority.claims.claim(TENANT, request.key, resource):
            raise ValueError("taken")
        return ReserveEmailResponse()

    @activity.defn(name="release_email")
    async def release_email(self, request: ReleaseEmailRequest) -> ReleaseEmailResponse:
        """Gives it back."""
        await self._users.authority.claims.release(TENANT, request.key)
        return ReleaseEmailResponse()

    @activity.defn(name="create_user")
    async def create_user(self, request: CreateUserRequest) -> CreateUserResponse:
        """Creates a record."""
        users = self._users.get(request.database)
        return CreateUserResponse(id=(await users.create(TENANT, request.key, request.record)).id)

    @activity.defn(name="remove_user")
    async def remove_user(self, request: RemoveUserRequest) -> RemoveUserResponse:
        """Undoes it."""
        await self._users.get(request.database).remove(TENANT, request.key)
        return RemoveUserResponse()

    @activity.defn(name="replace_user")
    async def replace_user(self, request: ReplaceUserRequest) -> ReplaceUserResponse:
        """Writes a record anew."""
        users = self._users.get(request.database)
        await users.replace(TENANT, request.user, list(request.expected_etags))
        return ReplaceUserResponse()


class CloudSteps:
    """What is done in object storage."""

    def __init__(self, homes: Homes) -> None:
        self._homes = homes

    @activity.defn(name="create_home")
    async def create_home(self, request: CreateHomeRequest) -> CreateHomeResponse:
        """Provisions a home."""
        return CreateHomeResponse(
            uri=await self._homes.create(TENANT, request.key, request.user_id)
        )

    @activity.defn(name="remove_home")
    async def remove_home(self, request: RemoveHomeRequest) -> RemoveHomeResponse:
        """Undoes it."""
        await self._homes.remove(TENANT, request.key, request.user_id)
        return RemoveHomeResponse()


class TextSteps:
    """What the model is asked."""

    def __init__(self, claude: Claude) -> None:
        self._claude = claude

    @activity.defn(name="write_welcome")
    async def write_welcome(self, request: WriteWelcomeRequest) -> WriteWelcomeResponse:
        """Writes a text."""
        prompt = welcome.prompt(request.display_name, request.locale, request.plan)
        answer = await self._claude.ask(prompt, request.key)
        return WriteWelcomeResponse(text=welcome.text(answer), model=answer.model)


class MailSteps:
    """What is sent."""

    def __init__(self, settings: MailSettings, service_key: bytes) -> None:
        self._settings = settings
        self._key = service_key

    @activity.defn(name="send_verification")
    async def send_verification(self, request: SendVerificationRequest) -> SendVerificationResponse:
        """Sends a link."""
        token = make_token(self._key, request.key)
        link = wording.verification_link(self._settings.public_url, request.operation, token)
        kind = VerificationKind.VERIFICATION_KIND_FIRST
        mail = wording.verification(kind, request.display_name, link, None)
        await smtp.send(self._settings, mail, request.email, _message_id(request.key))
        return SendVerificationResponse(token_digest=digest(token))

    @activity.defn(name="send_welcome")
    async def send_welcome(self, request: SendWelcomeRequest) -> SendWelcomeResponse:
        """Sends a welcome."""
        mail = wording.welcome(request.display_name, request.text)
        await smtp.send(self._settings, mail, request.email, _message_id(request.key))
        return SendWelcomeResponse()


def _message_id(key: str) -> str:
    return f"<{digest(key)[:40]}@example.com>"
