"""A user's copies in the databases: which are meant, and the steps that make and change them."""

from __future__ import annotations

from collections.abc import Iterable

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.user_records_pb2 import (
    CreateUserRequest,
    CreateUserResponse,
    RemoveUserRequest,
    ReplaceUserRequest,
    ReplaceUserResponse,
    UserRecord,
)
from nexpo.users.v1.user_records_temporal import user_record_activities as records
from nexpo.users.v1.users_pb2 import User
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.workflow.saga import Saga, SagaStep

LOCK = "lock user"


def database_id(name: str) -> str:
    """The id in a database's name, as steps show it: "postgres" of databases/postgres."""
    return name.removeprefix("databases/")


def chosen(asked: Iterable[str], enabled: Iterable[str], authority: str) -> list[str]:
    """The databases to live in, sorted, the authority always among them.

    Raises:
        Fault: STORE_DISABLED: one is switched off, or there is none of its name.
    """
    there = list(enabled)
    missing = [
        FieldViolation("databases", f"{database_id(name)} is not switched on")
        for name in asked
        if name not in there
    ]
    if missing:
        raise Fault(Reason.REASON_STORE_DISABLED, "A database is not switched on.", fields=missing)
    return sorted({*asked, authority})


def created(
    saga: Saga, database: str, user: User, password_hash: str
) -> SagaStep[CreateUserResponse]:
    """The step that creates the copy in one database; undone by its removal."""
    record = UserRecord(user=user, password_hash=password_hash)
    return saga.step(
        f"create in {database_id(database)}",
        records.create_user(CreateUserRequest(database=database, record=record)),
        undo=records.remove_user(RemoveUserRequest(database=database)),
        target=database_id(database),
    )


def activated(saga: Saga, database: str, user: User, etag: str) -> SagaStep[ReplaceUserResponse]:
    """The step that puts a copy in force: it is there with this etag, only its state changes."""
    replace = ReplaceUserRequest(database=database, user=user, expected_etags=[etag])
    return saga.step(
        f"activate in {database_id(database)}",
        records.replace_user(replace),
        target=database_id(database),
    )
