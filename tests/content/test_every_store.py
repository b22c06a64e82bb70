"""What the edge accepts ends in every store, and reads back equal from each and every list."""

from __future__ import annotations

import asyncio
import copy
import uuid
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexpo.users.v1.user_records_pb2 import CreateUserRequest, UserRecord
from nexpo.users.v1.users_pb2 import ListUsersRequest, OnboardUserRequest, User
from nexpo_db_worker.databases.opened import Databases
from nexpo_db_worker.users.activities import UserRecordActivities
from nexpo_db_worker.users.reads import UserReads
from nexpo_db_worker.users.users import UserDatabases, Users
from nexpo_runtime.errors import Fault
from nexpo_runtime.tenant import Signer
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.activity import ActivityContext

from . import hostile
from .edge import CONTRACT, Edge
from .values import STRUCTS, nested, value_of

ONBOARD = CONTRACT.by_type["nexpo.users.v1.OnboardUser"]
HOSTILE_STRUCTS = [value_of(plain).struct_value for plain in STRUCTS]
FEW = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loop(users: UserDatabases) -> asyncio.AbstractEventLoop:
    """The loop that the stores were opened on: examples are run on it, from a thread."""
    for one in users.all.values():
        await one.page("nobody", None, 1)
    return asyncio.get_running_loop()


def accepted(request: Message) -> OnboardUserRequest | None:
    """The request as the edge hands it on; None where it refuses it."""
    edge = Edge.make()
    outcome = asyncio.run(edge.call(ONBOARD, lambda: request))
    assert not isinstance(outcome, Fault) or outcome.name != "INTERNAL"
    return outcome if isinstance(outcome, OnboardUserRequest) else None


def user_of(request: OnboardUserRequest) -> User:
    """The user that an onboarding writes."""
    user = User(
        user_id=str(uuid.uuid4()),
        email=request.email,
        display_name=request.display_name,
        state=User.ACTIVE,
        etag=uuid.uuid4().hex,
    )
    if request.HasField("profile"):
        user.profile.CopyFrom(request.profile)
    user.create_time.FromDatetime(datetime.now(UTC))
    user.update_time.CopyFrom(user.create_time)
    return user


async def written_and_read(users: Users, created: User, replaced: User) -> None:
    """Creates and replaces a user in one store; what is read must be what was written."""
    tenant = f"content-{uuid.uuid4().hex[:12]}"
    await users.create(tenant, f"key/{created.user_id}", UserRecord(user=created))
    assert (await users.get(tenant, created.user_id)).record.user == created
    assert [one.record.user for one in await users.page(tenant, None, 5)] == [created]
    await users.replace(tenant, replaced, [created.etag])
    assert (await users.get(tenant, created.user_id)).record.user == replaced
    assert [one.record.user for one in await users.page(tenant, None, 5)] == [replaced]


async def in_every_store(users: UserDatabases, first: User, second: User) -> None:
    second.user_id, second.email = first.user_id, first.email
    second.create_time.CopyFrom(first.create_time)
    await asyncio.gather(*(written_and_read(one, first, second) for one in users.all.values()))


@pytest.mark.asyncio(loop_scope="module")
async def test_whatever_the_edge_accepts_reads_back_equal_from_every_store(
    users: UserDatabases, loop: asyncio.AbstractEventLoop
) -> None:
    kept = []

    @FEW
    @given(data=st.data())
    def examples(data: st.DataObject) -> None:
        pair = [accepted(draw(ONBOARD, data.draw)) for draw in (hostile.request, hostile.spoilt)]
        made = [user_of(request) for request in pair if request is not None]
        if made:
            kept.append(len(made))
            ending = in_every_store(users, made[0], copy.deepcopy(made[-1]))
            asyncio.run_coroutine_threadsafe(ending, loop).result(60)

    await asyncio.to_thread(examples)
    assert sum(kept) > 20, "nearly nothing was accepted, so nearly nothing was tried"


@pytest.mark.asyncio(loop_scope="module")
async def test_every_hostile_struct_that_passes_is_kept_by_every_store(
    users: UserDatabases, loop: asyncio.AbstractEventLoop
) -> None:
    passed = 0
    for number, struct in enumerate(HOSTILE_STRUCTS):
        request = OnboardUserRequest(email="a@b.example", display_name="A", password="long enough")
        request.profile.attributes.CopyFrom(struct)
        found = await asyncio.to_thread(accepted, request)
        if found is not None:
            passed += 1
            try:
                await in_every_store(users, user_of(found), user_of(found))
            except Exception as error:
                error.add_note(f"{STRUCTS[number]!r:.200}")
                raise
    assert passed >= 4


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_the_same_through_the_activities_and_in_the_list_of_users(
    databases: Databases, tenant: str
) -> None:
    request = OnboardUserRequest(email="a@b.example", display_name="Añ😀", password="long enough")
    request.profile.attributes.CopyFrom(value_of(nested(20)).struct_value)
    request.profile.locale = "de-CH"
    found = await asyncio.to_thread(accepted, request)
    assert found is not None
    user = user_of(found)
    user.databases.extend(f"databases/{name}" for name in sorted(databases.all))
    activities = UserRecordActivities(databases)
    reads = UserReads(databases, Signer([b"a key of these tests"]))
    with activity.within(ActivityContext(tenant, "", 1)):
        for store in user.databases:
            record = UserRecord(user=user)
            await activities.create_user(
                CreateUserRequest(key=f"key/{store}", database=store, record=record)
            )
        listed = await reads.list_users(ListUsersRequest())
    assert list(listed.users) == [user]
