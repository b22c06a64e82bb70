"""RepairUser over the modelled world: whatever the copies are, they end as the authority's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1 import user_records_pb2 as data
from nexpo.users.v1.users_pb2 import (
    RecordRepair,
    RepairUserRequest,
    RepairUserResponse,
    UpdateUserRequest,
    User,
)
from nexpo_gateway.processes.users.repair_user import RepairUser
from nexpo_gateway.processes.users.update_user import UpdateUser
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow.local_engine import Attempt, LocalOperation
from nexpo_runtime.workflow.operation import Operation
from nexpo_runtime.workflow.virtual_time import VirtualTimeLoop
from tests.simulation.world import AUTHORITY, STORES, World

USER_ID = "5f0c5ad6-3c0f-5c44-9a3c-6f3d6b1c9f10"
OTHERS = [store for store in STORES if store != AUTHORITY]


class House:
    """A world with one user in every store."""

    def __init__(self) -> None:
        self.world = World()
        self.off: set[str] = set()
        self.away: set[str] = set()  # names of steps
        self.progress: list[Progress] = []
        self.user = User(
            user_id=USER_ID,
            email="ada@example.com",
            display_name="Ada",
            state=User.ACTIVE,
            etag="one",
            databases=STORES,
        )
        for store in STORES:
            record = data.UserRecord(user=self.user)
            self.world.apply(
                data.CreateUserRequest(key=f"k/{store}", database=store, record=record)
            )

    async def _attempt(self, attempt: Attempt) -> Message:
        await asyncio.sleep(0.01)
        if attempt.name in self.away:
            raise Fault(Reason.REASON_STORE_UNAVAILABLE)
        answer = self.world.apply(attempt.call.request)
        if isinstance(answer, data.LockUserResponse):
            on = [store for store in answer.enabled if store not in self.off]
            del answer.enabled[:]
            answer.enabled.extend(on)
        return answer

    def run(self, workflow: type[Operation[Any, Any]], request: Message) -> Awaitable[Any]:
        return LocalOperation(
            workflow,
            request,
            f"acme/{uuid.uuid4()}",
            "run",
            self._attempt,
            self.progress.append,
        ).start()

    def copy(self, store: str) -> User:
        found = self.world.find(store, USER_ID)
        assert found is not None
        return found

    def lose(self, store: str) -> None:
        self.world.apply(data.EraseUserRequest(key="lost", database=store, user_id=USER_ID))

    def agree(self) -> bool:
        copies = [self.world.find(store, USER_ID) for store in STORES]
        return all(copy == copies[0] for copy in copies)


def virtually(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(86_400):
            await test()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(within())


async def _repaired(house: House, *stores: str) -> dict[str, int]:
    request = RepairUserRequest(user_id=USER_ID, databases=stores)
    answer: RepairUserResponse = await house.run(RepairUser, request)
    assert house.progress[-1].state == Progress.SUCCEEDED
    assert not house.world.claims.live()  # the lock is free
    return {repair.database: repair.action for repair in answer.repairs}


def test_equal_copies_stay_as_they_are() -> None:
    async def test() -> None:
        house = House()
        assert set((await _repaired(house)).values()) == {RecordRepair.KEPT}
        assert house.copy(AUTHORITY).etag == "one"

    virtually(test)


def test_a_copy_that_differs_and_one_that_is_missing_become_the_authoritys() -> None:
    async def test() -> None:
        house = House()
        house.copy(OTHERS[0]).display_name = "Eve"  # under the same etag
        house.copy(OTHERS[1]).etag = "older"
        house.lose(OTHERS[2])
        done = await _repaired(house)
        assert done[OTHERS[2]] == RecordRepair.CREATED
        assert {done[store] for store in (AUTHORITY, *OTHERS[:2])} == {RecordRepair.REPLACED}
        assert house.agree()
        assert house.copy(OTHERS[0]).display_name == "Ada"
        assert house.copy(AUTHORITY).etag != "one"  # what lands late expects the old one

    virtually(test)


def test_a_user_can_leave_a_store_and_come_back() -> None:
    async def test() -> None:
        house = House()
        left = OTHERS[-1]
        done = await _repaired(house, *OTHERS[:-1])
        assert done[left] == RecordRepair.ERASED
        assert house.world.find(left, USER_ID) is None
        assert sorted(house.copy(AUTHORITY).databases) == sorted({AUTHORITY, *OTHERS[:-1]})
        assert (await _repaired(house, *OTHERS))[left] == RecordRepair.CREATED
        assert house.agree()

    virtually(test)


def test_what_is_left_of_a_user_whom_the_authority_does_not_have_is_deleted() -> None:
    async def test() -> None:
        house = House()
        house.lose(AUTHORITY)
        done = await _repaired(house)
        assert {done[store] for store in OTHERS} == {RecordRepair.ERASED}
        assert not any(house.world.find(store, USER_ID) for store in STORES)

    virtually(test)


def test_the_copies_of_an_onboarding_under_way_are_not_touched() -> None:
    async def test() -> None:
        house = House()
        house.lose(AUTHORITY)
        for store in OTHERS:
            house.copy(store).state = User.PENDING
        with pytest.raises(Fault) as refused:
            await house.run(RepairUser, RepairUserRequest(user_id=USER_ID))
        assert refused.value.reason == Reason.REASON_USER_NOT_ACTIVE
        assert all(house.world.find(store, USER_ID) for store in OTHERS)
        assert not house.world.claims.live()

    virtually(test)


def test_the_authority_is_written_before_any_other_copy() -> None:
    async def test() -> None:
        house = House()
        house.copy(OTHERS[0]).etag = "older"
        house.away.add("write in postgres")
        ending = asyncio.ensure_future(house.run(RepairUser, RepairUserRequest(user_id=USER_ID)))
        await asyncio.sleep(60)
        assert {house.copy(store).etag for store in OTHERS} == {"older", "one"}, "as they were"
        house.away.clear()
        await ending
        assert house.agree()

    virtually(test)


def test_a_user_in_a_store_that_is_off_is_repaired_only_when_it_shall_leave_it() -> None:
    async def test() -> None:
        house = House()
        house.off.add(OTHERS[0])
        house.copy(OTHERS[1]).etag = "older"
        for stores in ((), OTHERS):
            request = RepairUserRequest(user_id=USER_ID, databases=stores)
            with pytest.raises(Fault) as refused:
                await house.run(RepairUser, request)
            assert refused.value.reason == Reason.REASON_STORE_DISABLED
            assert [violation.field for violation in refused.value.fields] == ["databases"]
            assert house.copy(OTHERS[1]).etag == "older"
            assert not house.world.claims.live()
        done = await _repaired(house, *OTHERS[1:])
        assert OTHERS[0] not in done
        assert OTHERS[0] not in house.copy(AUTHORITY).databases
        assert house.copy(OTHERS[1]) == house.copy(AUTHORITY)

    virtually(test)


def test_a_change_that_meets_a_copy_that_differs_is_undone_and_says_so() -> None:
    async def test() -> None:
        house = House()
        odd = OTHERS[1]
        house.copy(odd).etag = "older"
        update = UpdateUserRequest(user_id=USER_ID, display_name="New")
        update.update_mask.paths.append("display_name")
        with pytest.raises(Fault) as refused:
            await house.run(UpdateUser, update)
        assert refused.value.reason == Reason.REASON_COPY_DIFFERS
        assert house.progress[-1].state == Progress.FAILED  # and no undo is blocked by it
        assert {house.copy(store).display_name for store in STORES} == {"Ada"}
        await _repaired(house)
        answer = await house.run(UpdateUser, update)
        assert answer.display_name == "New"
        assert house.agree()

    virtually(test)
