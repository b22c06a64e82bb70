"""RepairUser: a user is the same in every store again, and only where the user lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nexpo.contract import Call
from nexpo.data.v1.data_pb2 import (
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
from nexpo.data.v1.data_temporal import user_store_activities as db
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import (
    RepairUserRequest,
    RepairUserResponse,
    Store,
    StoreRepair,
    User,
)
from nexpo.users.v1.users_temporal import RepairUserContract
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga, SagaStep, step_key

from .store_names import store_name
from .update_user import LOCK

Copies = dict[Store.ValueType, User | None]


@dataclass(frozen=True, slots=True)
class Mend:
    """What a store's copy needs.

    Attributes:
        store: Whose.
        action: What will be done.
        call: What does it; None when the copy is right.
    """

    store: Store.ValueType
    action: StoreRepair.Action.ValueType
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
                db.lock_user(LockUserRequest(user_id=request.user_id, for_repair=True)),
                undo=db.unlock_user(UnlockUserRequest()),
            )
            self.tracker.expect(2 * len(locked.enabled) + 2)
            wanted = _wanted(locked, request)
            copies = await self._read(saga, locked, request.user_id)
            mends = _mends(locked, wanted, copies)
            self.pivot()
            first = [mend for mend in mends if mend.store == locked.authority]
            for group in (first, [mend for mend in mends if mend not in first]):
                await saga.all(_step(saga, mend) for mend in group if mend.call is not None)
            await saga.step("unlock user", db.unlock_user(UnlockUserRequest(key=step_key(LOCK))))
        return RepairUserResponse(
            user=wanted if any(mend.call for mend in mends) else locked.user if wanted else None,
            repairs=[StoreRepair(store=mend.store, action=mend.action) for mend in mends],
        )

    async def _read(self, saga: Saga, locked: LockUserResponse, user_id: str) -> Copies:
        answers: list[ReadUserResponse] = await saga.all(
            saga.step(
                f"read from {store_name(store)}",
                db.read_user(ReadUserRequest(store=store, user_id=user_id)),
                target=store_name(store),
            )
            for store in locked.enabled
        )
        return {
            store: answer.user if answer.HasField("user") else None
            for store, answer in zip(locked.enabled, answers, strict=True)
        }


def _wanted(locked: LockUserResponse, request: RepairUserRequest) -> User | None:
    """The user as every copy shall be; None when there shall be none.

    Raises:
        Fault: STORE_DISABLED: the user shall live in a store that is switched off.
    """
    if not locked.HasField("user"):
        return None
    asked = request.stores or locked.user.stores
    off = [
        FieldViolation("stores", f"{store_name(store)} is switched off")
        for store in sorted(asked)
        if store not in locked.enabled
    ]
    if off:
        raise Fault(Reason.REASON_STORE_DISABLED, "A store is switched off.", fields=off)
    wanted = User()
    wanted.CopyFrom(locked.user)
    del wanted.stores[:]
    wanted.stores.extend(sorted({*asked, locked.authority}))
    wanted.etag = flow.derived_id("etag", "repaired")
    return wanted


def _mends(locked: LockUserResponse, wanted: User | None, copies: Copies) -> list[Mend]:
    """What each store needs; nothing anywhere when all copies are right.

    Raises:
        Fault: USER_NOT_ACTIVE: a copy of an onboarding that is under way.
    """
    if wanted is None:
        return [_erased(store, copy) for store, copy in copies.items()]
    same = all(
        copy == locked.user if store in wanted.stores else copy is None
        for store, copy in copies.items()
    )
    if same and list(wanted.stores) == sorted(locked.user.stores):
        return [Mend(store, StoreRepair.KEPT) for store in copies]
    return [
        _written(store, copy, wanted) if store in wanted.stores else _erased(store, copy)
        for store, copy in copies.items()
    ]


def _written(store: Store.ValueType, copy: User | None, wanted: User) -> Mend:
    if copy is None:
        record = UserRecord(user=wanted)
        return Mend(
            store,
            StoreRepair.CREATED,
            db.create_user(CreateUserRequest(store=store, record=record)),
        )
    replace = ReplaceUserRequest(store=store, user=wanted, expected_etags=[copy.etag])
    return Mend(store, StoreRepair.REPLACED, db.replace_user(replace))


def _erased(store: Store.ValueType, copy: User | None) -> Mend:
    if copy is None:
        return Mend(store, StoreRepair.KEPT)
    if copy.state != User.ACTIVE:
        raise Fault(Reason.REASON_USER_NOT_ACTIVE, "The user is not active.")
    erase = EraseUserRequest(store=store, user_id=copy.user_id)
    return Mend(store, StoreRepair.ERASED, db.erase_user(erase))


_DOING = {
    StoreRepair.CREATED: "create in",
    StoreRepair.REPLACED: "write in",
    StoreRepair.ERASED: "delete from",
}


def _step(saga: Saga, mend: Mend) -> SagaStep[Any]:
    name = store_name(mend.store)
    assert mend.call is not None
    return saga.step(f"{_DOING[mend.action]} {name}", mend.call, target=name)
