"""What workflows ask of the databases, on three real ones."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
from calls import new_key, outcomes, reason_of
from user_records import changed, new_record
from waiting import until

from nexpo.users.v1.user_records_pb2 import (
    CreateUserRequest,
    DescribeDatabasesRequest,
    EraseUserRequest,
    ForgetEmailRequest,
    LockUserRequest,
    ReadUserRequest,
    ReleaseEmailRequest,
    RemoveUserRequest,
    ReplaceUserRequest,
    ReserveEmailRequest,
    UnlockUserRequest,
)
from nexpo.users.v1.users_pb2 import User
from nexpo_db_worker.databases.opened import Databases, open_databases
from nexpo_db_worker.settings import DbSettings
from nexpo_db_worker.users.activities import UserRecordActivities
from nexpo_db_worker.users.users import UserDatabases
from nexpo_dev.pytest_plugin import SupabaseAddress
from nexpo_runtime.errors import Fault
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.activity import ActivityContext

STORES = ["databases/mongodb", "databases/postgres", "databases/supabase"]


@pytest.fixture
async def databases(
    postgres_url: str, mongodb_url: str, supabase: SupabaseAddress
) -> AsyncIterator[Databases]:
    settings = DbSettings.load(
        database_url=postgres_url,
        enable_mongodb=True,
        mongodb_url=mongodb_url,
        enable_supabase=True,
        supabase_url=supabase.url,
        supabase_key=supabase.key,
        supabase_database_url=supabase.database_url,
    )
    async with AsyncExitStack() as stack:
        yield await open_databases(settings.configured, "postgres", stack)


@pytest.fixture
def users(databases: Databases) -> UserDatabases:
    return UserDatabases.over(databases)


@pytest.fixture
def db(databases: Databases, tenant: str) -> Iterator[UserRecordActivities]:
    with activity.within(ActivityContext(tenant, "t/nexpo.users.v1.OnboardUser/1", 1)):
        yield UserRecordActivities(databases)


def an_address() -> str:
    return f"{uuid.uuid4()}@example.com"


async def an_active_user(db: UserRecordActivities, store: str) -> User:
    record = new_record()
    record.user.state = User.ACTIVE
    del record.user.databases[:]
    record.user.databases.append(store)
    await db.create_user(CreateUserRequest(key=new_key(), database=store, record=record))
    return record.user


async def test_the_stores_that_are_on_are_told(db: UserRecordActivities) -> None:
    answer = await db.describe_databases(DescribeDatabasesRequest())
    assert list(answer.enabled) == STORES
    assert answer.authority == "databases/postgres"


async def test_an_address_is_reserved_once_until_it_is_released(db: UserRecordActivities) -> None:
    key, email = new_key(), an_address()
    await db.reserve_email(ReserveEmailRequest(key=key, email=email))
    await db.reserve_email(ReserveEmailRequest(key=key, email=email))
    other = ReserveEmailRequest(key=new_key(), email=email)
    assert await reason_of(db.reserve_email(other)) == "EMAIL_TAKEN"
    await db.release_email(ReleaseEmailRequest(key=key))
    again = ReserveEmailRequest(key=key, email=email)
    assert await reason_of(db.reserve_email(again)) == "FENCED"
    await db.reserve_email(other)


async def test_of_many_reservations_at_once_exactly_one_wins(db: UserRecordActivities) -> None:
    email = an_address()
    won, lost = await outcomes(
        [db.reserve_email(ReserveEmailRequest(key=new_key(), email=email)) for _ in range(10)]
    )
    assert len(won) == 1
    assert lost == ["EMAIL_TAKEN"] * 9


@pytest.mark.parametrize("email", ["", "nobody", "Ada@example.com", "zoe\u0308@example.com"])
async def test_an_address_that_is_not_normalised_is_refused(
    db: UserRecordActivities, email: str
) -> None:
    with pytest.raises(Fault, match="INVALID_ARGUMENT") as caught:
        await db.reserve_email(ReserveEmailRequest(key=new_key(), email=email))
    assert [violation.field for violation in caught.value.fields] == ["email"]
    record = new_record()
    record.user.email = email
    create = CreateUserRequest(key=new_key(), database="databases/postgres", record=record)
    with pytest.raises(Fault, match="INVALID_ARGUMENT") as caught:
        await db.create_user(create)
    assert [violation.field for violation in caught.value.fields] == ["record.user.email"]


async def test_an_effect_without_a_key_is_refused(db: UserRecordActivities) -> None:
    store = "databases/postgres"
    for call in (
        db.reserve_email(ReserveEmailRequest(email=an_address())),
        db.release_email(ReleaseEmailRequest()),
        db.create_user(CreateUserRequest(database=store, record=new_record())),
        db.remove_user(RemoveUserRequest(database=store)),
        db.lock_user(LockUserRequest(user_id="1")),
        db.unlock_user(UnlockUserRequest()),
        db.forget_email(ForgetEmailRequest(email=an_address())),
    ):
        assert await reason_of(call) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("databases/sqlserver", "STORE_DISABLED"),
        ("databases/archive", "STORE_DISABLED"),
        ("", "INVALID_ARGUMENT"),
        ("postgres", "INVALID_ARGUMENT"),
        ("databases/Post gres", "INVALID_ARGUMENT"),
    ],
)
async def test_a_store_that_is_off_or_unknown_is_named_as_such(
    db: UserRecordActivities, store: str, reason: str
) -> None:
    record = new_record()
    for call in (
        db.create_user(CreateUserRequest(key=new_key(), database=store, record=record)),
        db.remove_user(RemoveUserRequest(key=new_key(), database=store)),
        db.replace_user(ReplaceUserRequest(key=new_key(), database=store, user=record.user)),
        db.erase_user(EraseUserRequest(key=new_key(), database=store, user_id="1")),
    ):
        assert await reason_of(call) == reason


async def test_a_user_is_created_in_every_store_and_undone_in_all(
    db: UserRecordActivities, users: UserDatabases, tenant: str
) -> None:
    record = new_record()
    keys = {store: new_key() for store in STORES}

    async def create(store: str) -> str:
        request = CreateUserRequest(key=keys[store], database=store, record=record)
        return (await db.create_user(request)).id

    ids = await asyncio.gather(*(create(store) for store in STORES))
    assert all(ids)
    assert await asyncio.gather(*(create(store) for store in STORES)) == ids
    for store in STORES:
        found = await users.get(store).get(tenant, record.user.user_id)
        assert found.record.user == record.user
    for store in STORES:
        await db.remove_user(RemoveUserRequest(key=keys[store], database=store))
        assert await users.get(store).page(tenant, None, 10) == []
        assert await reason_of(create(store)) == "FENCED"


async def test_the_password_hash_lies_in_the_authority_only(
    db: UserRecordActivities, users: UserDatabases, tenant: str
) -> None:
    record = new_record()
    for store in STORES:
        await db.create_user(CreateUserRequest(key=new_key(), database=store, record=record))
    hashes = {
        store: (await users.get(store).get(tenant, record.user.user_id)).record.password_hash
        for store in STORES
    }
    assert hashes == {
        "databases/postgres": record.password_hash,
        "databases/mongodb": "",
        "databases/supabase": "",
    }


async def test_a_user_is_locked_by_one_operation_at_a_time(db: UserRecordActivities) -> None:
    user = await an_active_user(db, "databases/postgres")
    mine, theirs = new_key(), new_key()
    locked = await db.lock_user(LockUserRequest(key=mine, user_id=user.user_id, etag=user.etag))
    assert locked.user == user
    assert list(locked.enabled) == STORES
    assert locked.authority == "databases/postgres"
    await db.lock_user(LockUserRequest(key=mine, user_id=user.user_id))
    other = LockUserRequest(key=theirs, user_id=user.user_id)
    assert await reason_of(db.lock_user(other)) == "USER_BUSY"
    await db.unlock_user(UnlockUserRequest(key=theirs))
    another = LockUserRequest(key=new_key(), user_id=user.user_id)
    assert await reason_of(db.lock_user(another)) == "USER_BUSY"
    await db.unlock_user(UnlockUserRequest(key=mine))
    await db.lock_user(another)
    late = LockUserRequest(key=mine, user_id=user.user_id)
    assert await reason_of(db.lock_user(late)) == "FENCED"


async def test_only_an_active_user_with_the_expected_etag_is_locked(
    db: UserRecordActivities,
) -> None:
    user = await an_active_user(db, "databases/postgres")
    pending = new_record()
    await db.create_user(
        CreateUserRequest(key=new_key(), database="databases/postgres", record=pending)
    )
    for request, reason in (
        (LockUserRequest(user_id=user.user_id, etag="other"), "ETAG_MISMATCH"),
        (LockUserRequest(user_id=pending.user.user_id), "USER_NOT_ACTIVE"),
        (LockUserRequest(user_id=str(uuid.uuid4())), "USER_NOT_FOUND"),
        (LockUserRequest(), "INVALID_ARGUMENT"),
    ):
        request.key = new_key()
        assert await reason_of(db.lock_user(request)) == reason
        await db.unlock_user(UnlockUserRequest(key=request.key))
    await db.lock_user(LockUserRequest(key=new_key(), user_id=user.user_id))


async def test_a_change_that_a_store_which_is_off_would_miss_is_refused_but_a_repair_is_not(
    db: UserRecordActivities,
) -> None:
    record = new_record()
    record.user.state = User.ACTIVE
    record.user.databases.append("databases/cosmosdb")
    store = "databases/postgres"
    await db.create_user(CreateUserRequest(key=new_key(), database=store, record=record))
    lock = LockUserRequest(key=new_key(), user_id=record.user.user_id)
    with pytest.raises(Fault, match="STORE_DISABLED") as refused:
        await db.lock_user(lock)
    assert refused.value.metadata == {"database": "databases/sqlserver"}
    lock.for_repair = True
    assert (await db.lock_user(lock)).user == record.user
    nobody = LockUserRequest(key=new_key(), user_id=str(uuid.uuid4()), for_repair=True)
    answer = await db.lock_user(nobody)
    assert (answer.HasField("user"), list(answer.enabled)) == (False, STORES)


async def test_a_record_says_where_its_user_lives(db: UserRecordActivities) -> None:
    record = new_record()
    del record.user.databases[:]
    create = CreateUserRequest(key=new_key(), database="databases/postgres", record=record)
    with pytest.raises(Fault, match="INVALID_ARGUMENT") as refused:
        await db.create_user(create)
    assert [violation.field for violation in refused.value.fields] == ["record.user.databases"]


async def test_a_record_is_read_as_one_store_has_it(db: UserRecordActivities) -> None:
    user = await an_active_user(db, "databases/mongodb")
    read = ReadUserRequest(database="databases/mongodb", user_id=user.user_id)
    assert (await db.read_user(read)).user == user
    read.database = "databases/supabase"
    assert not (await db.read_user(read)).HasField("user")


async def test_a_change_is_written_and_another_record_may_be_passed_over(
    db: UserRecordActivities, users: UserDatabases, tenant: str
) -> None:
    user = await an_active_user(db, "databases/mongodb")
    after = changed(user, "Ada King")
    request = ReplaceUserRequest(
        key=new_key(), database="databases/mongodb", user=after, expected_etags=[user.etag]
    )
    await db.replace_user(request)
    await db.replace_user(request)
    found = await users.get("databases/mongodb").get(tenant, user.user_id)
    assert found.record.user == after
    request.database = "databases/supabase"
    assert await reason_of(db.replace_user(request)) == "COPY_DIFFERS"
    other = changed(after, "Ada Lovelace")
    late = ReplaceUserRequest(
        key=new_key(), database="databases/mongodb", user=other, expected_etags=[user.etag]
    )
    assert await reason_of(db.replace_user(late)) == "COPY_DIFFERS"
    late.allow_other = request.allow_other = True
    await db.replace_user(late)
    await db.replace_user(request)
    found = await users.get("databases/mongodb").get(tenant, user.user_id)
    assert found.record.user == after


async def test_in_the_authority_another_etag_is_the_callers_mistake(
    db: UserRecordActivities,
) -> None:
    user = await an_active_user(db, "databases/postgres")
    replace = ReplaceUserRequest(
        key=new_key(),
        database="databases/postgres",
        user=changed(user, "Eve"),
        expected_etags=["x"],
    )
    assert await reason_of(db.replace_user(replace)) == "ETAG_MISMATCH"
    replace.user.user_id = str(uuid.uuid4())
    assert await reason_of(db.replace_user(replace)) == "USER_NOT_FOUND"


async def test_an_undo_passes_over_another_record_in_the_authority_as_in_every_store(
    db: UserRecordActivities, users: UserDatabases, tenant: str
) -> None:
    user = await an_active_user(db, "databases/postgres")
    undo = ReplaceUserRequest(
        key=new_key(),
        database="databases/postgres",
        user=changed(user, "Eve"),
        expected_etags=["x"],
        allow_other=True,
    )
    await db.replace_user(undo)
    found = await users.authority.get(tenant, user.user_id)
    assert found.record.user == user
    undo.user.user_id = str(uuid.uuid4())
    await db.replace_user(undo)


async def test_a_deleted_users_address_is_free_and_a_late_retry_takes_it_from_nobody(
    db: UserRecordActivities, users: UserDatabases, tenant: str
) -> None:
    email = an_address()
    record = new_record(email)
    await db.reserve_email(ReserveEmailRequest(key=new_key(), email=email))
    create = CreateUserRequest(key=new_key(), database="databases/postgres", record=record)
    await db.create_user(create)
    erase = EraseUserRequest(database="databases/postgres", user_id=record.user.user_id)
    await db.erase_user(erase)
    await db.erase_user(erase)
    forget = ForgetEmailRequest(key=new_key(), email=email)
    await db.forget_email(forget)
    await db.reserve_email(ReserveEmailRequest(key=new_key(), email=email))
    await db.forget_email(forget)
    third = ReserveEmailRequest(key=new_key(), email=email)
    assert await reason_of(db.reserve_email(third)) == "EMAIL_TAKEN"
    assert await users.authority.page(tenant, None, 10) == []


async def test_an_address_whose_freeing_broke_off_is_freed_by_the_next_attempt(
    db: UserRecordActivities, postgres_url: str
) -> None:
    email = an_address()
    await db.reserve_email(ReserveEmailRequest(key=new_key(), email=email))
    forget = ForgetEmailRequest(key=new_key(), email=email)
    other = await asyncpg.connect(postgres_url)

    async def waited_for() -> bool:
        return bool(
            await other.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
            )
        )

    try:
        async with other.transaction():
            mine = "SELECT FROM nexpo_claims WHERE resource = $1 FOR UPDATE"
            await other.execute(mine, f"email:{email}")
            attempt = asyncio.ensure_future(db.forget_email(forget))
            await until(waited_for)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
    finally:
        await other.close()
    await db.forget_email(forget)
    await db.reserve_email(ReserveEmailRequest(key=new_key(), email=email))
