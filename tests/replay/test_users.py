"""UpdateUser, DeleteUser and RepairUser on Temporal; each way is kept for replay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.user_records_pb2 import EraseUserRequest
from nexpo.users.v1.users_pb2 import (
    DeleteUserRequest,
    RepairUserRequest,
    UpdateUserRequest,
)
from nexpo.users.v1.users_temporal import (
    DeleteUserContract,
    RepairUserContract,
    UpdateUserContract,
)
from nexpo_runtime.errors import Fault
from nexpo_runtime.testing import Recorder
from tests.house import WORKFLOWS
from tests.workflows.modelled import Place, modelled_services

from .test_onboard_user import begin_onboarding

_UNAVAILABLE = Fault(Reason.REASON_STORE_UNAVAILABLE)
_REFUSED = Fault(Reason.REASON_STORE_REFUSED)

User = Callable[[], Awaitable[tuple[Place, str, str]]]


@pytest.fixture
async def user(recorder: Recorder) -> AsyncIterator[User]:
    """Onboards an active one: where, whose, and its id."""

    async def onboarded() -> tuple[Place, str, str]:
        onboarding = await begin_onboarding(recorder, lambda step, attempt: None)
        await onboarding.verify()
        result = await onboarding.handle.result()
        return onboarding.place, onboarding.tenant, result.user.user_id

    async with recorder.serving(WORKFLOWS, modelled_services()):
        yield onboarded


def _change(user_id: str) -> UpdateUserRequest:
    request = UpdateUserRequest(user_id=user_id, display_name="Ada L.", request_id="change")
    request.profile.plan = "pro"
    request.update_mask.paths.extend(["display_name", "profile.plan"])
    return request


async def test_a_change_goes_well(user: User, recorder: Recorder) -> None:
    _, tenant, user_id = await user()
    handle = await recorder.start(UpdateUserContract, _change(user_id), tenant)

    assert await recorder.keep(handle, "changed") == "COMPLETED"


async def test_a_change_is_refused_by_one_store(user: User, recorder: Recorder) -> None:
    place, tenant, user_id = await user()
    # The undo, which is a write to the same store, is refused once, too.
    place.fault = lambda step, attempt: (
        _REFUSED if step == "update in cosmosdb" and attempt == 1 else None
    )
    handle = await recorder.start(UpdateUserContract, _change(user_id), tenant)

    assert await recorder.keep(handle, "undone because a store refused") == "STORE_REFUSED"


async def test_a_deletion_succeeds_at_the_second_attempt_of_one_store(
    user: User, recorder: Recorder
) -> None:
    place, tenant, user_id = await user()
    place.fault = lambda step, attempt: (
        _UNAVAILABLE if step == "delete from mongodb" and attempt == 1 else None
    )
    request = DeleteUserRequest(user_id=user_id, request_id="deletion")
    handle = await recorder.start(DeleteUserContract, request, tenant)

    assert await recorder.keep(handle, "deleted") == "COMPLETED"


async def test_a_deletion_with_an_old_etag_gives_the_lock_back(
    user: User, recorder: Recorder
) -> None:
    _, tenant, user_id = await user()
    request = DeleteUserRequest(user_id=user_id, etag="old", request_id="deletion")
    handle = await recorder.start(DeleteUserContract, request, tenant)

    assert await recorder.keep(handle, "undone because the etag was old") == "ETAG_MISMATCH"


async def test_a_missing_copy_and_one_that_differs_are_repaired(
    user: User, recorder: Recorder
) -> None:
    place, tenant, user_id = await user()
    place.world.apply(EraseUserRequest(key="lost", database="databases/mongodb", user_id=user_id))
    differs = place.world.find("databases/cosmosdb", user_id)
    assert differs is not None
    differs.etag = "older"
    request = RepairUserRequest(user_id=user_id, request_id="repair")
    handle = await recorder.start(RepairUserContract, request, tenant)

    assert await recorder.keep(handle, "repaired") == "COMPLETED"


async def test_a_store_that_cannot_be_read_ends_a_repair(user: User, recorder: Recorder) -> None:
    place, tenant, user_id = await user()
    place.fault = lambda step, attempt: _REFUSED if step == "read a copy" else None
    request = RepairUserRequest(user_id=user_id, request_id="repair")
    handle = await recorder.start(RepairUserContract, request, tenant)

    story = "undone because a store could not be read"
    assert await recorder.keep(handle, story) == "STORE_REFUSED"
