"""Users as the gateway reads them: one, side by side, and the tenant's list."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from calls import new_key, reason_of
from samples import BORN
from user_records import new_record

from nexpo.users.v1.user_records_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import GetUserRequest, ListUsersRequest, UserView
from nexpo_db_worker.databases.opened import Databases, open_databases
from nexpo_db_worker.settings import DbSettings
from nexpo_db_worker.users.reads import UserReads
from nexpo_db_worker.users.users import UserDatabases
from nexpo_dev.fault_proxy import FaultProxy
from nexpo_runtime.errors import Fault
from nexpo_runtime.tenant import Signer
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.activity import ActivityContext

SIGNER = Signer([b"a key of these tests"])


@pytest.fixture
async def proxy(mongodb_url: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy.before(mongodb_url) as proxy:
        yield proxy


@pytest.fixture
async def databases(
    postgres_url: str, mongodb_url: str, proxy: FaultProxy
) -> AsyncIterator[Databases]:
    settings = DbSettings.load(
        database_url=postgres_url,
        enable_mongodb=True,
        mongodb_url=proxy.through(mongodb_url),
    )
    async with AsyncExitStack() as stack:
        yield await open_databases(settings.configured, "postgres", stack)


@pytest.fixture
def users(databases: Databases) -> UserDatabases:
    return UserDatabases.over(databases)


@pytest.fixture
def reads(databases: Databases, tenant: str) -> Iterator[UserReads]:
    with activity.within(ActivityContext(tenant, "", 1)):
        yield UserReads(databases, SIGNER)


async def created(users: UserDatabases, tenant: str, *stores: str) -> tuple[UserRecord, list[str]]:
    record = new_record()
    ids = [(await users.get(store).create(tenant, new_key(), record)).id for store in stores]
    return record, ids


async def test_a_user_is_read_from_the_authority(
    reads: UserReads, users: UserDatabases, tenant: str
) -> None:
    record, _ = await created(users, tenant, "databases/postgres")
    answer = await reads.get_user(GetUserRequest(user_id=record.user.user_id))
    assert answer.user == record.user
    assert not answer.copies


async def test_a_user_who_is_nowhere_is_not_found(reads: UserReads) -> None:
    for view in (UserView.USER_VIEW_BASIC, UserView.USER_VIEW_COPIES):
        request = GetUserRequest(user_id=str(uuid.uuid4()), view=view)
        assert await reason_of(reads.get_user(request)) == "USER_NOT_FOUND"


async def test_another_tenants_user_is_not_found(
    reads: UserReads, users: UserDatabases, tenant: str
) -> None:
    record, _ = await created(users, tenant + "-other", "databases/postgres")
    request = GetUserRequest(user_id=record.user.user_id, view=UserView.USER_VIEW_COPIES)
    assert await reason_of(reads.get_user(request)) == "USER_NOT_FOUND"


async def test_every_store_is_shown_side_by_side(
    reads: UserReads, users: UserDatabases, tenant: str
) -> None:
    both = ["databases/mongodb", "databases/postgres"]
    record, ids = await created(users, tenant, *both)
    request = GetUserRequest(user_id=record.user.user_id, view=UserView.USER_VIEW_COPIES)
    answer = await reads.get_user(request)
    assert answer.user == record.user
    assert [(copy.database, copy.id, copy.reason) for copy in answer.copies] == [
        (both[0], ids[0], ""),
        (both[1], ids[1], ""),
    ]
    assert all(copy.user == record.user for copy in answer.copies)


async def test_a_store_without_the_user_says_so_and_a_leftover_is_shown(
    reads: UserReads, users: UserDatabases, tenant: str
) -> None:
    record, _ = await created(users, tenant, "databases/mongodb")
    request = GetUserRequest(user_id=record.user.user_id, view=UserView.USER_VIEW_COPIES)
    answer = await reads.get_user(request)
    assert not answer.HasField("user")
    assert [copy.reason for copy in answer.copies] == ["", "USER_NOT_FOUND"]


@pytest.mark.parametrize("fault", ["cut", "silence"])
async def test_a_store_that_does_not_answer_costs_only_its_own_copy(
    reads: UserReads, users: UserDatabases, tenant: str, proxy: FaultProxy, fault: str
) -> None:
    record, _ = await created(users, tenant, "databases/postgres", "databases/mongodb")
    if fault == "cut":
        proxy.cut()
    else:
        proxy.silence()
    request = GetUserRequest(user_id=record.user.user_id, view=UserView.USER_VIEW_COPIES)
    async with asyncio.timeout(30):
        answer = await reads.get_user(request)
    assert answer.user == record.user
    assert [copy.reason for copy in answer.copies] == ["STORE_UNAVAILABLE", ""]
    basic = await reads.get_user(GetUserRequest(user_id=record.user.user_id))
    assert basic.user == record.user
    proxy.heal()


async def test_a_list_is_walked_page_by_page_oldest_first(
    reads: UserReads, users: UserDatabases, tenant: str
) -> None:
    records = [new_record(born=BORN + timedelta(seconds=n // 2)) for n in range(7)]
    for record in reversed(records):
        await users.authority.create(tenant, new_key(), record)
    sizes, seen, token = [], [], ""
    while True:
        answer = await reads.list_users(ListUsersRequest(page_size=3, page_token=token))
        sizes.append(len(answer.users))
        seen += [user.user_id for user in answer.users]
        token = answer.next_page_token
        if not token:
            break
    assert sizes == [3, 3, 1]
    ordered = sorted(records, key=lambda r: (r.user.create_time.seconds, r.user.user_id))
    assert seen == [record.user.user_id for record in ordered]
    whole = await reads.list_users(ListUsersRequest(page_size=7))
    assert whole.next_page_token == "", "the last page is full, and still the last"
    assert len((await reads.list_users(ListUsersRequest())).users) == 7


async def test_an_empty_tenant_has_one_empty_page(reads: UserReads) -> None:
    answer = await reads.list_users(ListUsersRequest(page_size=5))
    assert not answer.users
    assert answer.next_page_token == ""


async def test_a_page_token_that_was_tampered_with_is_refused(
    reads: UserReads, users: UserDatabases, tenant: str
) -> None:
    for _ in range(2):
        await users.authority.create(tenant, new_key(), new_record())
    token = (await reads.list_users(ListUsersRequest(page_size=1))).next_page_token
    decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    signature, _, place = decoded.partition(".")
    micros, _, user_id = place.partition(".")
    forged = [
        f"{signature}.{int(micros) - 1}.{user_id}",
        f"{signature}.{micros}.{uuid.uuid4()}",
        f"{'0' * 64}.{place}",
        f"{signature}.{'9' * 40}.{user_id}",
        place,
        signature,
        "",
    ]
    tokens = [base64.urlsafe_b64encode(text.encode()).decode() for text in forged]
    bad = [*tokens[:-1], token[:-1], token[1:], token + "AAAA", "%%%", "ü", "\udcff", "a", "====="]
    for wrong in bad:
        try:
            request = ListUsersRequest(page_size=1, page_token=wrong)
        except (ValueError, UnicodeError):
            continue  # no message can carry it
        assert await reason_of(reads.list_users(request)) == "INVALID_PAGE_TOKEN", wrong


async def test_a_page_token_of_another_tenant_or_key_is_refused(
    reads: UserReads, users: UserDatabases, databases: Databases, tenant: str
) -> None:
    for _ in range(2):
        await users.authority.create(tenant, new_key(), new_record())
    token = (await reads.list_users(ListUsersRequest(page_size=1))).next_page_token
    request = ListUsersRequest(page_size=1, page_token=token)
    with activity.within(ActivityContext(tenant + "-other", "", 1)):
        with pytest.raises(Fault, match="INVALID_PAGE_TOKEN") as caught:
            await reads.list_users(request)
        assert [violation.field for violation in caught.value.fields] == ["page_token"]
    other = UserReads(databases, Signer([b"another key"]))
    assert await reason_of(other.list_users(request)) == "INVALID_PAGE_TOKEN"
    rotated = UserReads(databases, Signer([b"new key", b"a key of these tests"]))
    assert len((await rotated.list_users(request)).users) == 1
