"""Users are kept alike by every engine: what is theirs beyond fences and records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from backdoors import BackDoor
from calls import new_key, outcomes, reason_of
from samples import BORN
from user_records import changed, live, new_record

from nexpo.users.v1.users_pb2 import User
from nexpo_db_worker.databases.opened import Database, open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.users.table import CLAIMS, USERS
from nexpo_db_worker.users.users import Users


@pytest.fixture
async def database(entry: DatabaseEntry) -> AsyncIterator[Database]:
    async with open_database(entry) as opened:
        yield opened


@pytest.fixture
def users(database: Database) -> Users:
    return Users.over(database)


async def test_a_created_user_is_read_back_whole(users: Users, tenant: str) -> None:
    record = new_record()
    created = await users.create(tenant, new_key(), record)
    assert created.id
    assert created.record == record
    assert await users.get(tenant, record.user.user_id) == created
    assert await live(users, tenant) == [created]


async def test_of_twenty_users_with_one_address_exactly_one_wins(users: Users, tenant: str) -> None:
    results, reasons = await outcomes(
        [users.create(tenant, new_key(), new_record("one@example.com")) for _ in range(20)]
    )
    assert len(results) == 1
    assert reasons == ["EMAIL_TAKEN"] * 19
    assert await live(users, tenant) == results


async def test_a_user_id_that_another_key_wrote_is_refused(users: Users, tenant: str) -> None:
    record, other = new_record(), new_record()
    other.user.user_id = record.user.user_id
    created = await users.create(tenant, new_key(), record)
    assert await reason_of(users.create(tenant, new_key(), other)) == "STORE_REFUSED"
    assert await live(users, tenant) == [created]


async def test_an_address_is_free_and_its_key_fenced_after_the_undo(
    users: Users, tenant: str
) -> None:
    key, record = new_key(), new_record("free@example.com")
    await users.create(tenant, key, record)
    await users.remove(tenant, key)
    assert await reason_of(users.get(tenant, record.user.user_id)) == "USER_NOT_FOUND"
    assert await reason_of(users.create(tenant, key, record)) == "FENCED"
    second = await users.create(tenant, new_key(), new_record("free@example.com"))
    assert await live(users, tenant) == [second]


async def test_a_replacement_writes_all_but_the_password_hash(users: Users, tenant: str) -> None:
    record = new_record()
    created = await users.create(tenant, new_key(), record)
    after = changed(record.user, "Ada King")
    after.state = User.ACTIVE
    after.profile.plan = "pro"
    after.profile.attributes["team"] = "engines"
    for _ in range(2):
        await users.replace(tenant, after, [record.user.etag])
    found = await users.get(tenant, record.user.user_id)
    assert found.record.user == after
    assert found.record.password_hash == record.password_hash
    assert found.id == created.id


async def test_a_replacement_that_cannot_be_says_why(users: Users, tenant: str) -> None:
    record, other = new_record(), new_record("other@example.com")
    after = changed(record.user, "Nobody")
    etags = [record.user.etag]
    assert await reason_of(users.replace(tenant, after, etags)) == "USER_NOT_FOUND"
    await users.create(tenant, new_key(), record)
    await users.create(tenant, new_key(), other)
    assert await reason_of(users.replace(tenant, after, ["x"])) == "ETAG_MISMATCH"
    assert await reason_of(users.replace(tenant, after, [])) == "ETAG_MISMATCH"
    after.email = "other@example.com"
    assert await reason_of(users.replace(tenant, after, etags)) == "EMAIL_TAKEN"
    assert (await users.get(tenant, after.user_id)).record == record


async def test_pages_are_in_the_order_of_creation(users: Users, tenant: str) -> None:
    records = [new_record(born=BORN + timedelta(microseconds=n // 2)) for n in range(5)]
    await asyncio.gather(*(users.create(tenant, new_key(), record) for record in records))
    first = await users.page(tenant, None, 3)
    rest = await users.page(tenant, first[-1].place, 3)
    ordered = sorted(records, key=lambda r: (r.user.create_time.ToMicroseconds(), r.user.user_id))
    assert [found.record for found in first + rest] == ordered


async def test_tombstones_hold_no_personal_data(users: Users, tenant: str, door: BackDoor) -> None:
    undone, erased = new_record("undone@example.com"), new_record("erased@example.com")
    undone.user.display_name = erased.user.display_name = "Zebulon Quix"
    undone.user.profile.attributes["hobby"] = erased.user.profile.attributes["hobby"] = "kites"
    key, claim = new_key(), new_key()
    await users.create(tenant, key, undone)
    await users.create(tenant, new_key(), erased)
    assert "Zebulon Quix" in await door.dump(USERS, tenant), "the dump must show live records"
    await users.remove(tenant, key)
    await users.erase(tenant, erased.user.user_id)
    assert await users.claims.claim(tenant, claim, "email:claimed@example.com")
    await users.claims.release(tenant, claim)
    left = await door.dump(USERS, tenant) + await door.dump(CLAIMS, tenant)
    for secret in (
        *("undone@example.com", "erased@example.com", "claimed@example.com"),
        *(undone.user.user_id, erased.user.user_id),
        *("Zebulon Quix", "kites", "argon2id", "Europe/Zurich"),
    ):
        assert secret not in left


async def test_every_table_that_users_ask_for_is_purged(
    database: Database, users: Users, tenant: str, door: BackDoor
) -> None:
    key = new_key()
    await users.remove(tenant, key)
    await users.claims.release(tenant, key)
    for table in (USERS, CLAIMS):
        await door.age(table, tenant)
        while await database.fenced[table.name].purge(datetime.now(UTC) - timedelta(days=7)):
            pass
    assert await users.claims.claim(tenant, key, "user:1")
    await users.create(tenant, key, new_record())


async def test_a_change_of_one_address_or_lock_waits_for_its_claim(
    users: Users, tenant: str
) -> None:
    mine, theirs = new_key(), new_key()
    assert await users.claims.claim(tenant, mine, "user:1")
    assert not await users.claims.claim(tenant, theirs, "user:1")
    await users.claims.forget(tenant, "user:1")
    assert await reason_of(users.claims.claim(tenant, mine, "user:1")) == "FENCED"


async def test_attributes_come_back_exactly(users: Users, tenant: str) -> None:
    record, bare = new_record(), new_record()
    record.user.profile.attributes.update(
        {
            "text": "naïve 🙂 'quote' \"double\" \\",
            "numbers": [0.1, 1e300, -2.5, 9007199254740991, 5e-324, 0],
            "nested": {"deep": {"er": [True, False, None, {"": "empty key"}]}, "empty": {}},
            "$set": {"a.b": 1, "$ref": "x", "_id": 5, "id": "y", "__proto__": 1},
            "list": [[], [[]], ""],
            "Ünïcode 鍵": "v",
        }
    )
    bare.user.ClearField("profile")
    for one in (record, bare):
        await users.create(tenant, new_key(), one)
        assert (await users.get(tenant, one.user.user_id)).record == one
