"""OnboardUser: a person gets an account in every database, or in none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from nexpo.users.v1.user_records_pb2 import (
    DescribeDatabasesRequest,
    ReleaseEmailRequest,
    ReserveEmailRequest,
)
from nexpo.users.v1.user_records_temporal import user_record_activities as records
from nexpo.users.v1.users_pb2 import (
    OnboardUserRequest,
    OnboardUserResponse,
    ResendVerificationRequest,
    ResendVerificationResponse,
    User,
    VerifyEmailRequest,
    VerifyEmailResponse,
)
from nexpo.users.v1.users_temporal import OnboardUserContract
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga, SagaStep

from . import welcome
from .accounts import pending_user, provisioned, user_id
from .copies import activated, chosen, created, database_id
from .verification import Verification
from .verification_mails import VerificationMails
from .verified_address import verified

VERIFY_WITHIN = timedelta(hours=24)


@operation(OnboardUserContract)
class OnboardUser(Operation[OnboardUserRequest, OnboardUserResponse]):
    """Reserve, create everywhere, provision, verify; then activate and welcome.

    The pivot is the verified address: before it everything is undone on failure,
    cancel or expiry; after it the operation only goes forward.
    """

    def begin(self, request: OnboardUserRequest) -> None:
        self.verification = Verification(verified=self.pivot)

    async def execute(self, request: OnboardUserRequest) -> OnboardUserResponse:
        user = pending_user(request)
        async with self.saga() as saga:
            step = records.describe_databases(DescribeDatabasesRequest())
            known = await saga.step("choose databases", step)
            asked = request.databases or known.enabled
            user.databases.extend(chosen(asked, known.enabled, known.authority))
            self.tracker.expect(2 * len(user.databases) + 6)
            await saga.step(
                "reserve e-mail",
                records.reserve_email(ReserveEmailRequest(email=user.email)),
                undo=records.release_email(ReleaseEmailRequest()),
                target=database_id(known.authority),
            )
            # Only the authority's record gets the password's hash: least privilege.
            hashes = {known.authority: request.password_hash}
            steps: list[SagaStep[Any]] = [
                created(saga, name, user, hashes.get(name, "")) for name in user.databases
            ]
            *ids, home = await saga.all([*steps, provisioned(saga, user)])
            source, text = await welcome.written(saga, user)
            await self._verified(saga, user, request)
            await self._activated(saga, user)
            await welcome.sent(saga, user, text)
        answer = OnboardUserResponse(
            user=user, home_uri=home.uri, welcome_source=source, welcome_text=text
        )
        for name, copy in zip(user.databases, ids, strict=True):
            answer.record_ids.add(database=name, id=copy.id)
        return answer

    async def verify_email(self, request: VerifyEmailRequest) -> VerifyEmailResponse:
        """Confirms the address; from here on the operation only goes forward."""
        self.verification.verify(request.token_digest)
        return VerifyEmailResponse(user_id=user_id())

    def validate_verify_email(self, request: VerifyEmailRequest) -> None:
        self.verification.check_open()
        self.verification.check_unlocked()
        self.verification.check_token(request.token_digest)

    async def resend_verification(
        self, request: ResendVerificationRequest
    ) -> ResendVerificationResponse:
        """Asks for another verification e-mail; the workflow sends it."""
        return ResendVerificationResponse(remaining=self.verification.resend())

    def validate_resend_verification(self, request: ResendVerificationRequest) -> None:
        self.verification.check_open()
        self.verification.check_resend()

    async def _verified(self, saga: Saga, user: User, request: OnboardUserRequest) -> None:
        """Sends the first mail and waits. Raises: Fault: VERIFICATION_EXPIRED."""
        asked = request.HasField("verify_within")
        expires = flow.now() + (request.verify_within.ToTimedelta() if asked else VERIFY_WITHIN)
        mails = VerificationMails(saga, user, self.name, self.verification, expires)
        await mails.first("send verification e-mail")
        self.waiting("Waiting for the e-mail address to be verified.")
        await verified(self.verification, mails, expires)

    async def _activated(self, saga: Saga, user: User) -> None:
        """Makes the account active everywhere; what it holds the databases have taken already."""
        self.running("The e-mail address is verified; activating the account.")
        pending = user.etag
        user.state = User.ACTIVE
        user.etag = flow.derived_id("etag", "activated")
        user.update_time.FromDatetime(flow.now())
        await saga.all(activated(saga, name, user, pending) for name in user.databases)
