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

from nexpo.data.v1.data_pb2 import (
    CreateUserRequest,
    DescribeStoresRequest,
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
from nexpo.users.v1.users_pb2 import Store, User
from nexpo_db_worker.databases import open_databases
from nexpo_db_worker.settings import DbSettings
from nexpo_db_worker.users.activities import UserStoreActivities
from nexpo_db_worker.users.stores import id_of
from nexpo_db_worker.users.users import UserDatabases
from nexpo_dev.pytest_plugin import SupabaseAddress
from nexpo_runtime.errors import Fault
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.activity import ActivityContext

STORES = [Store.STORE_POSTGRES, Store.STORE_MONGODB, Store.STORE_SUPABASE]


@pytest.fixture
async def users(
    postgres_url: str, mongodb_url: str, supabase: SupabaseAddress
) -> AsyncIterator[UserDatabases]:
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
        yield UserDatabases.over(await open_databases(settings.entries(), stack), "postgres")


@pytest.fixture
def db(users: UserDatabases, tenant: str) -> Iterator[UserStoreActivities]:
    with activity.within(ActivityContext(tenant, "t/nexpo.users.v1.OnboardUser/1", 1)):
        yield UserStoreActivities(users)


def an_address() -> str:
    return f"{uuid.uuid4()}@example.com"


async def an_active_user(db: UserStoreActivities, store: Store.ValueType) -> User:
    record = new_record()
    record.user.state = User.ACTIVE
    del record.user.stores[:]
    record.user.stores.append(store)
    await db.create_user(CreateUserRequest(key=new_key(), store=store, record=record))
    return record.user


async def test_the_stores_that_are_on_are_told(db: UserStoreActivities) -> None:
    answer = await db.describe_stores(DescribeStoresRequest())
    assert list(answer.enabled) == STORES
    assert answer.authority == Store.STORE_POSTGRES


async def test_an_address_is_reserved_once_until_it_is_released(db: UserStoreActivities) -> None:
    key, email = new_key(), an_address()
    await db.reserve_email(ReserveEmailRequest(key=key, email=email))
    await db.reserve_email(ReserveEmailRequest(key=key, email=email))
    other = ReserveEmailRequest(key=new_key(), email=email)
    assert await reason_of(db.reserve_email(other)) == "EMAIL_TAKEN"
    await db.release_email(ReleaseEmailRequest(key=key))
    again = ReserveEmailRequest(key=key, email=email)
    assert await reason_of(db.reserve_email(again)) == "FENCED"
    await db.reserve_email(other)


async def test_of_many_reservations_at_once_exactly_one_wins(db: UserStoreActivities) -> None:
    email = an_address()
    won, lost = await outcomes(
        [db.reserve_email(ReserveEmailRequest(key=new_key(), email=email)) for _ in range(10)]
    )
    assert len(won) == 1
    assert lost == ["EMAIL_TAKEN"] * 9


@pytest.mark.parametrize("email", ["", "nobody", "Ada@example.com", "zoe\u0308@example.com"])
async def test_an_address_that_is_not_normalised_is_refused(
    db: UserStoreActivities, email: str
) -> None:
    with pytest.raises(Fault, match="INVALID_ARGUMENT") as caught:
        await db.reserve_email(ReserveEmailRequest(key=new_key(), email=email))
    assert [violation.field for violation in caught.value.fields] == ["email"]
    record = new_record()
    record.user.email = email
    create = CreateUserRequest(key=new_key(), store=Store.STORE_POSTGRES, record=record)
    with pytest.raises(Fault, match="INVALID_ARGUMENT") as caught:
        await db.create_user(create)
    assert [violation.field for violation in caught.value.fields] == ["record.user.email"]


async def test_an_effect_without_a_key_is_refused(db: UserStoreActivities) -> None:
    store = Store.STORE_POSTGRES
    for call in (
        db.reserve_email(ReserveEmailRequest(email=an_address())),
        db.release_email(ReleaseEmailRequest()),
        db.create_user(CreateUserRequest(store=store, record=new_record())),
        db.remove_user(RemoveUserRequest(store=store)),
        db.lock_user(LockUserRequest(user_id="1")),
        db.unlock_user(UnlockUserRequest()),
        db.forget_email(ForgetEmailRequest(email=an_address())),
    ):
        assert await reason_of(call) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        (Store.STORE_SQLSERVER, "STORE_DISABLED"),
        (Store.STORE_UNSPECIFIED, "INVALID_ARGUMENT"),
        (99, "INVALID_ARGUMENT"),
    ],
)
async def test_a_store_that_is_off_or_unknown_is_named_as_such(
    db: UserStoreActivities, store: Store.ValueType, reason: str
) -> None:
    record = new_record()
    for call in (
        db.create_user(CreateUserRequest(key=new_key(), store=store, record=record)),
        db.remove_user(RemoveUserRequest(key=new_key(), store=store)),
        db.replace_user(ReplaceUserRequest(key=new_key(), store=store, user=record.user)),
        db.erase_user(EraseUserRequest(key=new_key(), store=store, user_id="1")),
    ):
        assert await reason_of(call) == reason


async def test_a_user_is_created_in_every_store_and_undone_in_all(
    db: UserStoreActivities, users: UserDatabases, tenant: str
) -> None:
    record = new_record()
    keys = {store: new_key() for store in STORES}

    async def create(store: Store.ValueType) -> str:
        request = CreateUserRequest(key=keys[store], store=store, record=record)
        return (await db.create_user(request)).id

    ids = await asyncio.gather(*(create(store) for store in STORES))
    assert all(ids)
    assert await asyncio.gather(*(create(store) for store in STORES)) == ids
    for store in STORES:
        found = await users.get(id_of(store)).get(tenant, record.user.user_id)
        assert found.record.user == record.user
    for store in STORES:
        await db.remove_user(RemoveUserRequest(key=keys[store], store=store))
        assert await users.get(id_of(store)).page(tenant, None, 10) == []
        assert await reason_of(create(store)) == "FENCED"


async def test_the_password_hash_lies_in_the_authority_only(
    db: UserStoreActivities, users: UserDatabases, tenant: str
) -> None:
    record = new_record()
    for store in STORES:
        await db.create_user(CreateUserRequest(key=new_key(), store=store, record=record))
    hashes = {
        store: (await users.get(id_of(store)).get(tenant, record.user.user_id)).record.password_hash
        for store in STORES
    }
    assert hashes == {
        Store.STORE_POSTGRES: record.password_hash,
        Store.STORE_MONGODB: "",
        Store.STORE_SUPABASE: "",
    }


async def test_a_user_is_locked_by_one_operation_at_a_time(db: UserStoreActivities) -> None:
    user = await an_active_user(db, Store.STORE_POSTGRES)
    mine, theirs = new_key(), new_key()
    locked = await db.lock_user(LockUserRequest(key=mine, user_id=user.user_id, etag=user.etag))
    assert locked.user == user
    assert list(locked.enabled) == STORES
    assert locked.authority == Store.STORE_POSTGRES
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
    db: UserStoreActivities,
) -> None:
    user = await an_active_user(db, Store.STORE_POSTGRES)
    pending = new_record()
    await db.create_user(
        CreateUserRequest(key=new_key(), store=Store.STORE_POSTGRES, record=pending)
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
    db: UserStoreActivities,
) -> None:
    record = new_record()
    record.user.state = User.ACTIVE
    record.user.stores.append(Store.STORE_COSMOSDB)
    store = Store.STORE_POSTGRES
    await db.create_user(CreateUserRequest(key=new_key(), store=store, record=record))
    lock = LockUserRequest(key=new_key(), user_id=record.user.user_id)
    with pytest.raises(Fault, match="STORE_DISABLED") as refused:
        await db.lock_user(lock)
    assert refused.value.metadata == {"database": "sqlserver"}
    lock.for_repair = True
    assert (await db.lock_user(lock)).user == record.user
    nobody = LockUserRequest(key=new_key(), user_id=str(uuid.uuid4()), for_repair=True)
    answer = await db.lock_user(nobody)
    assert (answer.HasField("user"), list(answer.enabled)) == (False, STORES)


async def test_a_record_says_where_its_user_lives(db: UserStoreActivities) -> None:
    record = new_record()
    del record.user.stores[:]
    create = CreateUserRequest(key=new_key(), store=Store.STORE_POSTGRES, record=record)
    with pytest.raises(Fault, match="INVALID_ARGUMENT") as refused:
        await db.create_user(create)
    assert [violation.field for violation in refused.value.fields] == ["record.user.stores"]


async def test_a_record_is_read_as_one_store_has_it(db: UserStoreActivities) -> None:
    user = await an_active_user(db, Store.STORE_MONGODB)
    read = ReadUserRequest(store=Store.STORE_MONGODB, user_id=user.user_id)
    assert (await db.read_user(read)).user == user
    read.store = Store.STORE_SUPABASE
    assert not (await db.read_user(read)).HasField("user")


async def test_a_change_is_written_and_another_record_may_be_passed_over(
    db: UserStoreActivities, users: UserDatabases, tenant: str
) -> None:
    user = await an_active_user(db, Store.STORE_MONGODB)
    after = changed(user, "Ada King")
    request = ReplaceUserRequest(
        key=new_key(), store=Store.STORE_MONGODB, user=after, expected_etags=[user.etag]
    )
    await db.replace_user(request)
    await db.replace_user(request)
    found = await users.get(id_of(Store.STORE_MONGODB)).get(tenant, user.user_id)
    assert found.record.user == after
    request.store = Store.STORE_SUPABASE
    assert await reason_of(db.replace_user(request)) == "COPY_DIFFERS"
    other = changed(after, "Ada Lovelace")
    late = ReplaceUserRequest(
        key=new_key(), store=Store.STORE_MONGODB, user=other, expected_etags=[user.etag]
    )
    assert await reason_of(db.replace_user(late)) == "COPY_DIFFERS"
    late.allow_other = request.allow_other = True
    await db.replace_user(late)
    await db.replace_user(request)
    found = await users.get(id_of(Store.STORE_MONGODB)).get(tenant, user.user_id)
    assert found.record.user == after


async def test_in_the_authority_another_etag_is_the_callers_mistake(
    db: UserStoreActivities,
) -> None:
    user = await an_active_user(db, Store.STORE_POSTGRES)
    replace = ReplaceUserRequest(
        key=new_key(), store=Store.STORE_POSTGRES, user=changed(user, "Eve"), expected_etags=["x"]
    )
    assert await reason_of(db.replace_user(replace)) == "ETAG_MISMATCH"
    replace.user.user_id = str(uuid.uuid4())
    assert await reason_of(db.replace_user(replace)) == "USER_NOT_FOUND"


async def test_an_undo_passes_over_another_record_in_the_authority_as_in_every_store(
    db: UserStoreActivities, users: UserDatabases, tenant: str
) -> None:
    user = await an_active_user(db, Store.STORE_POSTGRES)
    undo = ReplaceUserRequest(
        key=new_key(),
        store=Store.STORE_POSTGRES,
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
    db: UserStoreActivities, users: UserDatabases, tenant: str
) -> None:
    email = an_address()
    record = new_record(email)
    await db.reserve_email(ReserveEmailRequest(key=new_key(), email=email))
    create = CreateUserRequest(key=new_key(), store=Store.STORE_POSTGRES, record=record)
    await db.create_user(create)
    erase = EraseUserRequest(store=Store.STORE_POSTGRES, user_id=record.user.user_id)
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
    db: UserStoreActivities, postgres_url: str
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
