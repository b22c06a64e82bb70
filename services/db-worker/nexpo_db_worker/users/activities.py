"""The effects on users in the databases, one method each."""

from __future__ import annotations

import unicodedata

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.user_records_pb2 import (
    CreateUserRequest,
    CreateUserResponse,
    DescribeDatabasesRequest,
    DescribeDatabasesResponse,
    EraseUserRequest,
    EraseUserResponse,
    ForgetEmailRequest,
    ForgetEmailResponse,
    LockUserRequest,
    LockUserResponse,
    ReadUserRequest,
    ReadUserResponse,
    ReleaseEmailRequest,
    ReleaseEmailResponse,
    RemoveUserRequest,
    RemoveUserResponse,
    ReplaceUserRequest,
    ReplaceUserResponse,
    ReserveEmailRequest,
    ReserveEmailResponse,
    UnlockUserRequest,
    UnlockUserResponse,
    UserRecord,
)
from nexpo.users.v1.user_records_service import UserRecordActivitiesBase
from nexpo.users.v1.users_pb2 import User
from nexpo_db_worker.databases.opened import Databases
from nexpo_db_worker.users.users import UserDatabases, Users
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.worker import activity


class UserRecordActivities(UserRecordActivitiesBase):
    """Effects on users, each fenced by its key in the database where it lands.

    Args:
        databases: Those that are switched on.
    """

    def __init__(self, databases: Databases) -> None:
        self._users = UserDatabases.over(databases)

    async def describe_databases(
        self, request: DescribeDatabasesRequest
    ) -> DescribeDatabasesResponse:
        """The databases that are switched on, and which of them is the authority."""
        return DescribeDatabasesResponse(
            enabled=list(self._users.all), authority=self._users.authority.database
        )

    async def reserve_email(self, request: ReserveEmailRequest) -> ReserveEmailResponse:
        """Reserves an address for the key. Raises: Fault: EMAIL_TAKEN, FENCED."""
        held = await self._users.authority.claims.claim(
            _tenant(), _key(request.key), _email_resource(request.email)
        )
        if not held:
            raise Fault(Reason.REASON_EMAIL_TAKEN, "The e-mail address belongs to another user.")
        return ReserveEmailResponse()

    async def release_email(self, request: ReleaseEmailRequest) -> ReleaseEmailResponse:
        """Undoes reserve_email."""
        await self._users.authority.claims.release(_tenant(), _key(request.key))
        return ReleaseEmailResponse()

    async def create_user(self, request: CreateUserRequest) -> CreateUserResponse:
        """Creates a record. Raises: Fault: EMAIL_TAKEN, FENCED, STORE_DISABLED."""
        users = self._users.get(request.database)
        _check_user(request.record.user, "record.user")
        record = UserRecord()
        record.CopyFrom(request.record)
        if users is not self._users.authority:
            record.password_hash = ""  # its place is the authority only
        created = await users.create(_tenant(), _key(request.key), record)
        return CreateUserResponse(id=created.id)

    async def remove_user(self, request: RemoveUserRequest) -> RemoveUserResponse:
        """Undoes create_user. Raises: Fault: STORE_DISABLED."""
        await self._users.get(request.database).remove(_tenant(), _key(request.key))
        return RemoveUserResponse()

    async def lock_user(self, request: LockUserRequest) -> LockUserResponse:
        """Locks and reads an active user.

        Raises:
            Fault: USER_BUSY, USER_NOT_FOUND, USER_NOT_ACTIVE, ETAG_MISMATCH, FENCED;
                STORE_DISABLED when the user lives in a database that is switched off: it
                would miss the change. The lock may be held then: the caller undoes it.
        """
        if not request.user_id:
            raise _invalid("user_id", "must not be empty")
        tenant, authority = _tenant(), self._users.authority
        if not await authority.claims.claim(tenant, _key(request.key), f"user:{request.user_id}"):
            raise Fault(Reason.REASON_USER_BUSY, "Another operation is changing the user.")
        user = await _found(authority, request.user_id)
        if user is None:
            if not request.for_repair:
                raise authority.fault(Reason.REASON_USER_NOT_FOUND)
            return LockUserResponse(
                enabled=list(self._users.all), authority=self._users.authority.database
            )
        if request.etag and request.etag != user.etag:
            raise Fault(Reason.REASON_ETAG_MISMATCH, "The user has changed since it was read.")
        if user.state != User.ACTIVE:
            raise Fault(Reason.REASON_USER_NOT_ACTIVE, "The user is not active.")
        if not request.for_repair:
            for database in user.databases:
                self._users.get(database)
        return LockUserResponse(
            user=user, enabled=list(self._users.all), authority=self._users.authority.database
        )

    async def unlock_user(self, request: UnlockUserRequest) -> UnlockUserResponse:
        """Undoes lock_user."""
        await self._users.authority.claims.release(_tenant(), _key(request.key))
        return UnlockUserResponse()

    async def read_user(self, request: ReadUserRequest) -> ReadUserResponse:
        """A record as one database has it. Raises: Fault: STORE_DISABLED."""
        found = await _found(self._users.get(request.database), request.user_id)
        return ReadUserResponse(user=found)

    async def replace_user(self, request: ReplaceUserRequest) -> ReplaceUserResponse:
        """Writes a record.

        Raises:
            Fault: STORE_DISABLED; when the record is not the expected one, in the authority
                ETAG_MISMATCH or USER_NOT_FOUND, in another COPY_DIFFERS.
        """
        users = self._users.get(request.database)
        _check_user(request.user, "user")
        try:
            await users.replace(_tenant(), request.user, list(request.expected_etags))
        except Fault as fault:
            if fault.reason not in (Reason.REASON_USER_NOT_FOUND, Reason.REASON_ETAG_MISMATCH):
                raise
            if request.allow_other:
                return ReplaceUserResponse()
            if users is self._users.authority:
                raise
            raise users.fault(Reason.REASON_COPY_DIFFERS) from fault
        return ReplaceUserResponse()

    async def erase_user(self, request: EraseUserRequest) -> EraseUserResponse:
        """Deletes a record, if there is one. Raises: Fault: STORE_DISABLED."""
        if not request.user_id:
            raise _invalid("user_id", "must not be empty")
        await self._users.get(request.database).erase(_tenant(), request.user_id)
        return EraseUserResponse()

    async def forget_email(self, request: ForgetEmailRequest) -> ForgetEmailResponse:
        """Frees an address, once: the key's own claim remembers that it was done.

        Otherwise a retry whose first attempt's answer was lost could free the
        address while the next user has already reserved it.
        """
        tenant, key, claims = _tenant(), _key(request.key), self._users.authority.claims
        try:
            await claims.claim(tenant, key, f"forget:{key}")
        except Fault as fault:
            if fault.reason == Reason.REASON_FENCED:
                return ForgetEmailResponse()
            raise
        await claims.forget(tenant, _email_resource(request.email))
        await claims.release(tenant, key)
        return ForgetEmailResponse()


async def _found(users: Users, user_id: str) -> User | None:
    try:
        return (await users.get(_tenant(), user_id)).record.user
    except Fault as fault:
        if fault.reason == Reason.REASON_USER_NOT_FOUND:
            return None
        raise


def _tenant() -> str:
    return activity.current().tenant


def _key(key: str) -> str:
    """The key, which must be there: an empty one would be everybody's fence."""
    if not key:
        raise _invalid("key", "must not be empty")
    return key


def _email_resource(email: str) -> str:
    _check_email(email, "email")
    return f"email:{email}"


def _check_user(user: User, path: str) -> None:
    for name in ("user_id", "etag"):
        if not getattr(user, name):
            raise _invalid(f"{path}.{name}", "must not be empty")
    if not user.databases:
        raise _invalid(f"{path}.databases", "must name the databases that the user lives in")
    _check_email(user.email, f"{path}.email")


def _check_email(email: str, path: str) -> None:
    """Uniqueness holds for normalised addresses only: NFC and lower case."""
    if "@" not in email or unicodedata.normalize("NFC", email.lower()) != email:
        raise _invalid(path, "must be a normalised e-mail address")


def _invalid(path: str, description: str) -> Fault:
    return Fault(
        Reason.REASON_INVALID_ARGUMENT,
        "The request is not valid.",
        fields=[FieldViolation(path, description)],
    )
