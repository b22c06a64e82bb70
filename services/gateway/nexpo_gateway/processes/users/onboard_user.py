"""OnboardUser: a person gets an account in every store, or in none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from nexpo.ai.v1.ai_pb2 import WriteWelcomeRequest
from nexpo.ai.v1.ai_temporal import ai_activities as ai
from nexpo.cloud.v1.cloud_pb2 import CreateHomeRequest, CreateHomeResponse, RemoveHomeRequest
from nexpo.cloud.v1.cloud_temporal import cloud_activities as cloud
from nexpo.data.v1.data_pb2 import (
    CreateUserRequest,
    CreateUserResponse,
    DescribeStoresRequest,
    DescribeStoresResponse,
    ReleaseEmailRequest,
    RemoveUserRequest,
    ReplaceUserRequest,
    ReserveEmailRequest,
    UserRecord,
)
from nexpo.data.v1.data_temporal import user_store_activities as db
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.notifications.v1.notifications_pb2 import SendWelcomeRequest, VerificationKind
from nexpo.notifications.v1.notifications_temporal import notification_activities as notifications
from nexpo.users.v1.users_pb2 import (
    OnboardUserRequest,
    OnboardUserResponse,
    ResendVerificationRequest,
    ResendVerificationResponse,
    Store,
    StoreId,
    TextSource,
    User,
    VerifyEmailRequest,
    VerifyEmailResponse,
)
from nexpo.users.v1.users_temporal import OnboardUserContract
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga, SagaStep

from .store_names import store_name
from .verification import Verification
from .verification_mails import VerificationMails

VERIFY_WITHIN = timedelta(hours=24)
WELCOME_WITHIN = timedelta(seconds=20)
PLAIN_WELCOME = "Hello {name},\n\nwelcome! Your account is ready.\n"


@operation(OnboardUserContract)
class OnboardUser(Operation[OnboardUserRequest, OnboardUserResponse]):
    """Reserve, create everywhere, provision, verify; then activate and welcome.

    The pivot is the verified address: before it everything is undone on failure,
    cancel or expiry; after it the operation only goes forward.
    """

    def begin(self, request: OnboardUserRequest) -> None:
        self.verification = Verification(verified=self.pivot)

    async def execute(self, request: OnboardUserRequest) -> OnboardUserResponse:
        user = _new_user(request)
        async with self.saga() as saga:
            known = await saga.step("choose stores", db.describe_stores(DescribeStoresRequest()))
            stores = _chosen(request, known)
            user.stores.extend(stores)
            self.tracker.expect(2 * len(stores) + 6)
            await saga.step(
                "reserve e-mail",
                db.reserve_email(ReserveEmailRequest(email=user.email)),
                undo=db.release_email(ReleaseEmailRequest()),
                target=store_name(known.authority),
            )
            steps: list[SagaStep[Any]] = [
                _create(
                    saga, store, user, request.password_hash if store == known.authority else ""
                )
                for store in stores
            ]
            *ids, home = await saga.all([*steps, _provision(saga, user)])
            text = await self._welcome_text(saga, user, request)
            await self._verified(saga, user, request)
            await self._activated(saga, stores, user)
            await self._welcomed(saga, user, text or _plain(user))
        return OnboardUserResponse(
            user=user,
            store_ids=[
                StoreId(store=store, id=answer.id)
                for store, answer in zip(stores, ids, strict=True)
            ],
            home_uri=home.uri,
            welcome_source=TextSource.TEXT_SOURCE_MODEL
            if text
            else TextSource.TEXT_SOURCE_TEMPLATE,
            welcome_text=text or _plain(user),
        )

    async def verify_email(self, request: VerifyEmailRequest) -> VerifyEmailResponse:
        """Confirms the address; from here on the operation only goes forward."""
        self.verification.verify(request.token_digest)
        return VerifyEmailResponse(user_id=_user_id())

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

    async def _welcome_text(
        self, saga: Saga, user: User, request: OnboardUserRequest
    ) -> str | None:
        """The model's text; None when it is down, slow, refuses or is off."""
        answer = await saga.optional(
            saga.step(
                "write welcome text",
                ai.write_welcome(
                    WriteWelcomeRequest(
                        display_name=user.display_name,
                        locale=request.profile.locale,
                        plan=request.profile.plan,
                    )
                ).limited(WELCOME_WITHIN),
                target="claude",
            )
        )
        return answer.text if answer is not None else None

    async def _verified(self, saga: Saga, user: User, request: OnboardUserRequest) -> None:
        """Sends the mails and waits. Raises: Fault: VERIFICATION_EXPIRED."""
        within = (
            request.verify_within.ToTimedelta()
            if request.HasField("verify_within")
            else VERIFY_WITHIN
        )
        state = self.verification
        expires = flow.now() + within
        mails = VerificationMails(saga, user, self.name, state, expires)
        await mails.first("send verification e-mail")
        self.waiting("Waiting for the e-mail address to be verified.")
        # Half-way between the first mail, which may have come late, and the end.
        remind: datetime | None = flow.now() + (expires - flow.now()) / 2
        while not state.done:
            pause = (remind or expires) - flow.now()
            changed = await flow.until(
                lambda: state.done or state.resend_due(), max(pause, timedelta(0))
            )
            if state.done:
                return
            if changed:
                state.resends_sent += 1
                name = f"send verification e-mail again, {state.resends_sent}"
                kind = VerificationKind.VERIFICATION_KIND_RESEND
                await mails.again(name, kind, lambda: state.done)
            elif remind is not None:
                remind = None
                kind = VerificationKind.VERIFICATION_KIND_REMINDER
                # A mail that was asked for says all that the reminder would.
                await mails.again("send reminder", kind, lambda: state.done or state.resend_due())
            else:
                raise Fault(
                    Reason.REASON_VERIFICATION_EXPIRED,
                    "The e-mail address was not verified in time.",
                )

    async def _activated(self, saga: Saga, stores: list[Store.ValueType], user: User) -> None:
        """Makes the account active in every store; what it holds they have taken already."""
        self.running("The e-mail address is verified; activating the account.")
        created = user.etag
        user.state = User.ACTIVE
        user.etag = flow.derived_id("etag", "activated")
        user.update_time.FromDatetime(flow.now())
        await saga.all(
            saga.step(
                f"activate in {store_name(store)}",
                db.replace_user(
                    ReplaceUserRequest(store=store, user=user, expected_etags=[created])
                ),
                target=store_name(store),
            )
            for store in stores
        )

    async def _welcomed(self, saga: Saga, user: User, text: str) -> None:
        mail = SendWelcomeRequest(email=user.email, display_name=user.display_name, text=text)
        await saga.optional(
            saga.step("send welcome e-mail", notifications.send_welcome(mail), target="mail")
        )


def _user_id() -> str:
    return flow.derived_id("user")


def _new_user(request: OnboardUserRequest) -> User:
    user = User(
        user_id=_user_id(),
        email=request.email,
        display_name=request.display_name,
        state=User.PENDING,
        profile=request.profile if request.HasField("profile") else None,
        etag=flow.derived_id("etag", "created"),
    )
    user.create_time.FromDatetime(flow.now())
    user.update_time.FromDatetime(flow.now())
    return user


def _chosen(request: OnboardUserRequest, known: DescribeStoresResponse) -> list[Store.ValueType]:
    """The stores to create in, the authority always among them. Raises: Fault: STORE_DISABLED."""
    if not request.stores:
        return list(known.enabled)
    off = [
        FieldViolation(f"stores[{index}]", f"{store_name(store)} is switched off")
        for index, store in enumerate(request.stores)
        if store not in known.enabled
    ]
    if off:
        raise Fault(Reason.REASON_STORE_DISABLED, "A store is switched off.", fields=off)
    return sorted({*request.stores, known.authority})


def _create(
    saga: Saga, store: Store.ValueType, user: User, password_hash: str
) -> SagaStep[CreateUserResponse]:
    """Only the authority's record gets the password's hash: least privilege."""
    name = store_name(store)
    record = UserRecord(user=user, password_hash=password_hash)
    return saga.step(
        f"create in {name}",
        db.create_user(CreateUserRequest(store=store, record=record)),
        undo=db.remove_user(RemoveUserRequest(store=store)),
        target=name,
    )


def _provision(saga: Saga, user: User) -> SagaStep[CreateHomeResponse]:
    return saga.step(
        "provision home",
        cloud.create_home(CreateHomeRequest(user_id=user.user_id)),
        undo=cloud.remove_home(RemoveHomeRequest(user_id=user.user_id)),
        target="object storage",
    )


def _plain(user: User) -> str:
    return PLAIN_WELCOME.format(name=user.display_name)
