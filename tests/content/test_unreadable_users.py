"""A record that cannot be read is shown by its id, and breaks no list that holds it."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backdoors import BackDoor

from nexpo.users.v1.user_records_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import (
    GetUserRequest,
    ListUsersRequest,
    ListUsersResponse,
    User,
    UserView,
)
from nexpo_db_worker.databases.names import id_of
from nexpo_db_worker.databases.opened import Databases
from nexpo_db_worker.users.reads import UserReads
from nexpo_db_worker.users.table import USERS
from nexpo_db_worker.users.users import UserDatabases
from nexpo_runtime.errors import Fault
from nexpo_runtime.telemetry.metrics import UNREADABLE
from nexpo_runtime.tenant import Signer
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.activity import ActivityContext

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = (
    "databases/postgres",
    "databases/mongodb",
    "databases/cosmosdb",
    "databases/sqlserver",
    "databases/supabase",
)
DOCUMENTS = ("databases/mongodb", "databases/cosmosdb")
BORN = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHY = "RECORD_UNREADABLE"


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"n": value}
    return {"locale": "", "time_zone": "", "plan": "", "attributes": value}


PLANTED = [
    *((store, "profile", nested(60)) for store in ALL),
    *((store, "profile", [1, 2]) for store in ALL),
    *((store, "profile", {"attributes": "text"}) for store in ALL),
    *((store, "state", "FROZEN") for store in ALL),
    *((store, "create_time", "long ago") for store in DOCUMENTS),
    *((store, "email", 7) for store in DOCUMENTS),
    ("databases/mongodb", "profile", {"attributes": {"n": float("nan")}}),
    ("databases/mongodb", "profile", {"attributes": {"n": b"bytes"}}),
    ("databases/mongodb", "profile", {"attributes": {"n": datetime(2026, 1, 1)}}),
    ("databases/mongodb", "profile", {"attributes": {"$ref": "users", "$id": 1}}),
    ("databases/postgres", "profile", {"attributes": {"n": 10**400}}),
    ("databases/supabase", "profile", {"attributes": {"n": 10**400}}),
    ("databases/postgres", "profile", {"attributes": {"n": "x" * 1_100_000}}),
]


def new_record(number: int) -> UserRecord:
    name = str(uuid.uuid4())
    user = User(user_id=name, email=f"{name}@example.com", display_name="Ada", state=User.ACTIVE)
    user.etag = uuid.uuid4().hex
    user.profile.plan = "free"
    user.create_time.FromDatetime(BORN + timedelta(seconds=number))
    user.update_time.CopyFrom(user.create_time)
    return UserRecord(user=user, password_hash="hash")


def counted(store: str) -> float:
    return float(UNREADABLE.labels(id_of(store))._value.get())


async def walked(reads: UserReads, size: int) -> list[User]:
    """Every user of the list, page by page."""
    found: list[User] = []
    token = ""
    for _ in range(20):
        answer: ListUsersResponse = await reads.list_users(
            ListUsersRequest(page_size=size, page_token=token)
        )
        found += answer.users
        token = answer.next_page_token
        if not token:
            return found
    raise AssertionError("the list has no end")


@pytest.mark.parametrize(
    ("store", "column", "value"),
    PLANTED,
    ids=[f"{id_of(s)}-{c}-{n}" for n, (s, c, _) in enumerate(PLANTED)],
)
async def test_it_is_listed_by_its_id_among_the_others(
    users: UserDatabases,
    databases: Databases,
    doors: dict[str, BackDoor],
    tenant: str,
    store: str,
    column: str,
    value: Any,
) -> None:
    records = [new_record(number) for number in range(3)]
    for record in records:
        await users.get(store).create(tenant, f"key/{record.user.user_id}", record)
    planted = records[1].user.user_id
    await doors[id_of(store)].plant(USERS, planted, column, value)
    before = counted(store)
    here = dataclasses.replace(databases, authority=id_of(store))
    reads = UserReads(here, Signer([b"a key of these tests"]))

    with activity.within(ActivityContext(tenant, "", 1)):
        for size in (1, 2, 50):
            found = {user.user_id: user for user in await walked(reads, size)}
            assert set(found) == {record.user.user_id for record in records}
            assert found[planted] == User(user_id=planted, unreadable=WHY)
            assert found[records[0].user.user_id] == records[0].user
            assert found[records[2].user.user_id] == records[2].user
        with pytest.raises(Fault) as refused:
            await reads.get_user(GetUserRequest(user_id=planted))
        assert refused.value.name == WHY
        with pytest.raises(Fault) as aside:
            await reads.get_user(GetUserRequest(user_id=planted, view=UserView.USER_VIEW_COPIES))
        assert aside.value.name == WHY
    assert counted(store) > before


@pytest.mark.parametrize("store", DOCUMENTS)
async def test_many_whose_place_nobody_knows_are_listed_once_each(
    users: UserDatabases,
    databases: Databases,
    doors: dict[str, BackDoor],
    tenant: str,
    store: str,
) -> None:
    records = [new_record(number) for number in range(5)]
    for record in records:
        await users.get(store).create(tenant, f"key/{record.user.user_id}", record)
    for record in records[1:]:
        await doors[id_of(store)].plant(USERS, record.user.user_id, "create_time", "long ago")
    here = dataclasses.replace(databases, authority=id_of(store))
    reads = UserReads(here, Signer([b"a key of these tests"]))

    with activity.within(ActivityContext(tenant, "", 1)):
        for size in (1, 2, 3):
            found = [user.user_id for user in await walked(reads, size)]
            assert sorted(found) == sorted(record.user.user_id for record in records)


async def test_one_stores_unreadable_copy_is_told_beside_the_others(
    users: UserDatabases, databases: Databases, doors: dict[str, BackDoor], tenant: str
) -> None:
    record = new_record(0)
    for store in ALL:
        await users.get(store).create(tenant, f"key/{store}", record)
    await doors["mongodb"].plant(USERS, record.user.user_id, "state", "FROZEN")
    reads = UserReads(databases, Signer([b"a key of these tests"]))
    with activity.within(ActivityContext(tenant, "", 1)):
        request = GetUserRequest(user_id=record.user.user_id, view=UserView.USER_VIEW_COPIES)
        answer = await reads.get_user(request)
    assert answer.user == record.user
    reasons = {copy.database: copy.reason for copy in answer.copies}
    assert reasons == {store: WHY if store == "databases/mongodb" else "" for store in ALL}


async def test_a_page_of_large_records_ends_where_one_message_does(
    users: UserDatabases, databases: Databases, tenant: str
) -> None:
    records = [new_record(number) for number in range(6)]
    for record in records:
        record.user.profile.attributes["text"] = "x" * 900_000
        await users.authority.create(tenant, f"key/{record.user.user_id}", record)
    reads = UserReads(databases, Signer([b"a key of these tests"]))
    with activity.within(ActivityContext(tenant, "", 1)):
        first = await reads.list_users(ListUsersRequest(page_size=50))
        assert 0 < first.ByteSize() < 4 * 1024 * 1024
        assert first.next_page_token
        found = await walked(reads, 50)
    assert [user.user_id for user in found] == [record.user.user_id for record in records]
