"""RepairUser: a user is the same in every database again, and only where the user lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nexpo.contract import Call
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.user_records_pb2 import (
    CreateUserRequest,
    EraseUserRequest,
    LockUserRequest,
    LockUserResponse,
    ReadUserRequest,
    ReadUserResponse,
    ReplaceUserRequest,
    UnlockUserRequest,
    UserRecord,
)
from nexpo.users.v1.user_records_temporal import user_record_activities as records
from nexpo.users.v1.users_pb2 import (
    RecordRepair,
    RepairUserRequest,
    RepairUserResponse,
    User,
)
from nexpo.users.v1.users_temporal import RepairUserContract
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga, SagaStep, step_key

from .copies import LOCK, chosen, database_id

Copies = dict[str, User | None]


@dataclass(frozen=True, slots=True)
class Mend:
    """What a database's copy needs.

    Attributes:
        database: Whose.
        action: What will be done.
        call: What does it; None when the copy is right.
    """

    database: str
    action: RecordRepair.Action.ValueType
    call: Call[Any] | None = None


@operation(RepairUserContract)
class RepairUser(Operation[RepairUserRequest, RepairUserResponse]):
    """Lock, read every copy, then only forward: the authority first, then the others.

    Every copy gets a new etag, so a write of an earlier operation that lands
    late expects one that is nowhere any more.
    """

    async def execute(self, request: RepairUserRequest) -> RepairUserResponse:
        async with self.saga() as saga:
            locked = await saga.step(
                LOCK,
                records.lock_user(LockUserRequest(user_id=request.user_id, for_repair=True)),
                undo=records.unlock_user(UnlockUserRequest()),
            )
            self.tracker.expect(2 * len(locked.enabled) + 2)
            wanted = _wanted(locked, request)
            copies = await self._read(saga, locked, request.user_id)
            mends = _mends(locked, wanted, copies)
            self.pivot()
            first = [mend for mend in mends if mend.database == locked.authority]
            for group in (first, [mend for mend in mends if mend not in first]):
                await saga.all(_step(saga, mend) for mend in group if mend.call is not None)
            await saga.step(
                "unlock user", records.unlock_user(UnlockUserRequest(key=step_key(LOCK)))
            )
        return RepairUserResponse(
            user=wanted if any(mend.call for mend in mends) else locked.user if wanted else None,
            repairs=[RecordRepair(database=mend.database, action=mend.action) for mend in mends],
        )

    async def _read(self, saga: Saga, locked: LockUserResponse, user_id: str) -> Copies:
        answers: list[ReadUserResponse] = await saga.all(
            saga.step(
                f"read from {database_id(database)}",
                records.read_user(ReadUserRequest(database=database, user_id=user_id)),
                target=database_id(database),
            )
            for database in locked.enabled
        )
        return {
            database: answer.user if answer.HasField("user") else None
            for database, answer in zip(locked.enabled, answers, strict=True)
        }


def _wanted(locked: LockUserResponse, request: RepairUserRequest) -> User | None:
    """The user as every copy shall be; None when there shall be none.

    Raises:
        Fault: STORE_DISABLED: the user shall live in a database that is switched off.
    """
    if not locked.HasField("user"):
        return None
    asked = request.databases or locked.user.databases
    wanted = User()
    wanted.CopyFrom(locked.user)
    del wanted.databases[:]
    wanted.databases.extend(chosen(asked, locked.enabled, locked.authority))
    wanted.etag = flow.derived_id("etag", "repaired")
    return wanted


def _mends(locked: LockUserResponse, wanted: User | None, copies: Copies) -> list[Mend]:
    """What each database needs; nothing anywhere when all copies are right.

    Raises:
        Fault: USER_NOT_ACTIVE: a copy of an onboarding that is under way.
    """
    if wanted is None:
        return [_erased(database, copy) for database, copy in copies.items()]
    same = all(
        copy == locked.user if database in wanted.databases else copy is None
        for database, copy in copies.items()
    )
    if same and list(wanted.databases) == sorted(locked.user.databases):
        return [Mend(database, RecordRepair.KEPT) for database in copies]
    return [
        _written(database, copy, wanted)
        if database in wanted.databases
        else _erased(database, copy)
        for database, copy in copies.items()
    ]


def _written(database: str, copy: User | None, wanted: User) -> Mend:
    if copy is None:
        record = UserRecord(user=wanted)
        return Mend(
            database,
            RecordRepair.CREATED,
            records.create_user(CreateUserRequest(database=database, record=record)),
        )
    replace = ReplaceUserRequest(database=database, user=wanted, expected_etags=[copy.etag])
    return Mend(database, RecordRepair.REPLACED, records.replace_user(replace))


def _erased(database: str, copy: User | None) -> Mend:
    if copy is None:
        return Mend(database, RecordRepair.KEPT)
    if copy.state != User.ACTIVE:
        raise Fault(Reason.REASON_USER_NOT_ACTIVE, "The user is not active.")
    erase = EraseUserRequest(database=database, user_id=copy.user_id)
    return Mend(database, RecordRepair.ERASED, records.erase_user(erase))


_DOING = {
    RecordRepair.CREATED: "create in",
    RecordRepair.REPLACED: "write in",
    RecordRepair.ERASED: "delete from",
}


def _step(saga: Saga, mend: Mend) -> SagaStep[Any]:
    name = database_id(mend.database)
    assert mend.call is not None
    return saga.step(f"{_DOING[mend.action]} {name}", mend.call, target=name)
