"""What every UserStore must do; each provider's tests subclass it.

A provider's test module gives four fixtures and one class:

    @pytest.fixture
    async def store(...) -> AsyncIterator[UserStore]: ...   # open and migrated
    @pytest.fixture
    async def dump(...) -> Dump: ...      # all that the database keeps of a tenant, as text
    @pytest.fixture
    async def age(...) -> Age: ...        # makes a tenant's tombstones 8 days old
    @pytest.fixture
    async def distant(...) -> AsyncIterator[Distant]: ...   # a store behind a TcpProxy

    class TestPostgresUsers(UserStoreContract): ...

Every test works in a tenant of its own, so they share a server.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from tcp_proxy import TcpProxy

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store, User
from nexpo_db_worker.stores import Position, StoredUser, UserStore
from nexpo_runtime.errors import Fault

T = TypeVar("T")
Dump = Callable[[str], Awaitable[str]]
Age = Callable[[str], Awaitable[None]]
BORN = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
PATIENCE_S = 9.0  # less than the 10 s that an attempt of an activity may take


@dataclass
class Distant:
    """A store that reaches its server through a proxy only."""

    store: UserStore
    proxy: TcpProxy


def new_key() -> str:
    return f"t/nexpo.users.v1.OnboardUser/{uuid.uuid4()}/create in X"


def new_record(email: str = "", born: datetime = BORN, name: str = "Ada Byron") -> UserRecord:
    user_id = str(uuid.uuid4())
    user = User(
        user_id=user_id,
        email=email or f"{user_id}@example.com",
        display_name=name,
        state=User.PENDING,
        etag=uuid.uuid4().hex,
    )
    user.profile.locale = "de-CH"
    user.profile.time_zone = "Europe/Zurich"
    user.profile.plan = "free"
    user.stores.extend([Store.STORE_POSTGRES, Store.STORE_SQLSERVER])
    user.create_time.FromDatetime(born)
    user.update_time.FromDatetime(born)
    return UserRecord(user=user, password_hash=f"$argon2id$v=19$m=19456,t=2,p=1${user_id}")


def changed(user: User, name: str) -> User:
    after = User()
    after.CopyFrom(user)
    after.display_name = name
    after.etag = uuid.uuid4().hex
    after.update_time.FromDatetime(BORN + timedelta(minutes=5))
    return after


async def reason_of(call: Awaitable[object]) -> str:
    """The reason that the call fails with; "" when it succeeds."""
    try:
        await call
    except Fault as fault:
        return fault.name
    return ""


async def outcomes(calls: list[Awaitable[T]]) -> tuple[list[T], list[str]]:
    """Results and reasons of calls made at once; any other exception is raised."""
    results: list[T] = []
    reasons: list[str] = []
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, Fault):
            reasons.append(outcome.name)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            results.append(outcome)
    return results, reasons


async def live(store: UserStore, tenant: str) -> list[StoredUser]:
    return await store.page(tenant, None, 1000)


class CreateContract:
    """Creation and its undo."""

    async def test_a_created_user_is_read_back_whole(self, store: UserStore, tenant: str) -> None:
        record = new_record()
        created = await store.create(tenant, new_key(), record)
        assert created.id
        assert created.record == record
        assert await store.get(tenant, record.user.user_id) == created

    async def test_the_same_key_again_returns_the_first_record(
        self, store: UserStore, tenant: str
    ) -> None:
        key, record = new_key(), new_record()
        first = await store.create(tenant, key, record)
        assert await store.create(tenant, key, record) == first
        other = new_record()
        assert await store.create(tenant, key, other) == first
        assert await live(store, tenant) == [first]
        assert await reason_of(store.get(tenant, other.user.user_id)) == "USER_NOT_FOUND"

    async def test_one_key_twenty_times_at_once_makes_one_record(
        self, store: UserStore, tenant: str
    ) -> None:
        key, record = new_key(), new_record()
        results, reasons = await outcomes([store.create(tenant, key, record) for _ in range(20)])
        assert reasons == []
        assert len({result.id for result in results}) == 1
        assert len(await live(store, tenant)) == 1

    async def test_of_twenty_users_with_one_address_exactly_one_wins(
        self, store: UserStore, tenant: str
    ) -> None:
        records = [new_record("one@example.com") for _ in range(20)]
        keys = [new_key() for _ in records]
        results, reasons = await outcomes(
            [store.create(tenant, key, record) for key, record in zip(keys, records, strict=True)]
        )
        assert len(results) == 1
        assert reasons == ["EMAIL_TAKEN"] * 19
        assert await live(store, tenant) == results
        losers = [
            key
            for key, record in zip(keys, records, strict=True)
            if record.user.user_id != results[0].record.user.user_id
        ]
        await asyncio.gather(*(store.remove(tenant, key) for key in losers))
        assert await live(store, tenant) == results, "undoing a loser must not touch the winner"

    async def test_an_address_is_free_again_after_the_undo(
        self, store: UserStore, tenant: str
    ) -> None:
        key = new_key()
        await store.create(tenant, key, new_record("free@example.com"))
        await store.remove(tenant, key)
        second = await store.create(tenant, new_key(), new_record("free@example.com"))
        assert await live(store, tenant) == [second]

    async def test_a_creation_after_its_undo_is_fenced(self, store: UserStore, tenant: str) -> None:
        key, record = new_key(), new_record()
        await store.remove(tenant, key)
        assert await reason_of(store.create(tenant, key, record)) == "FENCED"
        await store.remove(tenant, key)
        assert await reason_of(store.create(tenant, key, record)) == "FENCED"
        assert await live(store, tenant) == []
        await store.create(tenant, new_key(), record)

    async def test_the_undo_removes_and_may_be_repeated(
        self, store: UserStore, tenant: str
    ) -> None:
        key, record = new_key(), new_record()
        await store.create(tenant, key, record)
        await asyncio.gather(*(store.remove(tenant, key) for _ in range(5)))
        await store.remove(tenant, key)
        assert await live(store, tenant) == []
        assert await reason_of(store.get(tenant, record.user.user_id)) == "USER_NOT_FOUND"
        assert await reason_of(store.create(tenant, key, record)) == "FENCED"

    async def test_a_creation_that_races_its_undo_leaves_nothing(
        self, store: UserStore, tenant: str
    ) -> None:
        dice = random.Random(7)

        async def later(call: Callable[[], Awaitable[object]], spread: float) -> None:
            await asyncio.sleep(dice.random() * spread)
            # What two do at once a store may refuse to one of them; then it is tried again.
            for _ in range(20):
                reason = await reason_of(call())
                if reason != "STORE_UNAVAILABLE":
                    break
            assert reason in ("", "FENCED")

        async def race() -> tuple[str, UserRecord]:
            key, record = new_key(), new_record("race@example.com")
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: store.create(tenant, key, record),
                lambda: store.create(tenant, key, record),
                lambda: store.remove(tenant, key),
                lambda: store.remove(tenant, key),
            ]
            dice.shuffle(calls)
            await asyncio.gather(*(later(call, dice.choice([0.0, 0.002, 0.01])) for call in calls))
            return key, record

        for _ in range(40):
            key, record = await race()
            assert await live(store, tenant) == []
            assert await reason_of(store.create(tenant, key, record)) == "FENCED"
        await store.create(tenant, new_key(), new_record("race@example.com"))

    async def test_tombstones_hold_no_personal_data(
        self, store: UserStore, tenant: str, dump: Dump
    ) -> None:
        undone, erased = new_record("undone@example.com"), new_record("erased@example.com")
        undone.user.display_name = erased.user.display_name = "Zebulon Quix"
        undone.user.profile.attributes["hobby"] = erased.user.profile.attributes["hobby"] = "kites"
        key = new_key()
        await store.create(tenant, key, undone)
        await store.create(tenant, new_key(), erased)
        assert "Zebulon Quix" in await dump(tenant), "the dump must show live records"
        await store.remove(tenant, key)
        await store.erase(tenant, erased.user.user_id)
        claim = new_key()
        assert await store.claim(tenant, claim, "email:claimed@example.com")
        await store.release(tenant, claim)
        left = await dump(tenant)
        for secret in (
            *("undone@example.com", "erased@example.com", "claimed@example.com"),
            *("Zebulon Quix", "kites", "argon2id", "Europe/Zurich"),
        ):
            assert secret not in left


class ReplaceContract:
    """Change and erasure."""

    async def test_a_replacement_writes_all_but_the_password_hash(
        self, store: UserStore, tenant: str
    ) -> None:
        record = new_record()
        created = await store.create(tenant, new_key(), record)
        after = changed(record.user, "Ada King")
        after.state = User.ACTIVE
        after.profile.plan = "pro"
        after.profile.attributes["team"] = "engines"
        await store.replace(tenant, after, [record.user.etag])
        found = await store.get(tenant, record.user.user_id)
        assert found.record.user == after
        assert found.record.password_hash == record.password_hash
        assert found.id == created.id

    async def test_a_replacement_may_be_repeated(self, store: UserStore, tenant: str) -> None:
        record = new_record()
        await store.create(tenant, new_key(), record)
        after = changed(record.user, "Ada King")
        for _ in range(3):
            await store.replace(tenant, after, [record.user.etag])
        assert (await store.get(tenant, after.user_id)).record.user == after

    async def test_a_replacement_of_another_etag_is_refused(
        self, store: UserStore, tenant: str
    ) -> None:
        record = new_record()
        await store.create(tenant, new_key(), record)
        after = changed(record.user, "Ada King")
        assert await reason_of(store.replace(tenant, after, ["other"])) == "ETAG_MISMATCH"
        assert await reason_of(store.replace(tenant, after, [])) == "ETAG_MISMATCH"
        assert (await store.get(tenant, after.user_id)).record == record
        await store.replace(tenant, after, ["other", record.user.etag])
        assert (await store.get(tenant, after.user_id)).record.user == after

    async def test_of_ten_replacements_at_once_exactly_one_wins(
        self, store: UserStore, tenant: str
    ) -> None:
        record = new_record()
        await store.create(tenant, new_key(), record)
        versions = [changed(record.user, f"Ada {n}") for n in range(10)]
        results, reasons = await outcomes(
            [store.replace(tenant, version, [record.user.etag]) for version in versions]
        )
        assert len(results) == 1
        assert reasons == ["ETAG_MISMATCH"] * 9
        assert (await store.get(tenant, record.user.user_id)).record.user in versions

    async def test_a_user_who_is_not_there_cannot_be_replaced(
        self, store: UserStore, tenant: str
    ) -> None:
        key, record = new_key(), new_record()
        after = changed(record.user, "Nobody")
        etags = [record.user.etag]
        assert await reason_of(store.replace(tenant, after, etags)) == "USER_NOT_FOUND"
        await store.create(tenant, key, record)
        await store.remove(tenant, key)
        assert await reason_of(store.replace(tenant, after, etags)) == "USER_NOT_FOUND"
        assert await live(store, tenant) == []

    async def test_an_erased_user_is_gone_and_stays_gone(
        self, store: UserStore, tenant: str
    ) -> None:
        key, record = new_key(), new_record("gone@example.com")
        await store.create(tenant, key, record)
        await asyncio.gather(*(store.erase(tenant, record.user.user_id) for _ in range(3)))
        await store.erase(tenant, record.user.user_id)
        await store.erase(tenant, str(uuid.uuid4()))
        assert await live(store, tenant) == []
        assert await reason_of(store.create(tenant, key, record)) == "FENCED"
        await store.create(tenant, new_key(), new_record("gone@example.com"))

    async def test_an_erasure_that_races_a_replacement_wins(
        self, store: UserStore, tenant: str
    ) -> None:
        for _ in range(20):
            record = new_record()
            await store.create(tenant, new_key(), record)
            after = changed(record.user, "Too late")
            _, reasons = await outcomes(
                [
                    store.replace(tenant, after, [record.user.etag]),
                    store.erase(tenant, record.user.user_id),
                ]
            )
            assert set(reasons) <= {"USER_NOT_FOUND"}
            assert await live(store, tenant) == []


class ClaimContract:
    """Claims: addresses and locks."""

    async def test_a_claim_is_exclusive_and_may_be_repeated(
        self, store: UserStore, tenant: str
    ) -> None:
        mine, theirs = new_key(), new_key()
        assert await store.claim(tenant, mine, "email:a@example.com")
        assert await store.claim(tenant, mine, "email:a@example.com")
        assert not await store.claim(tenant, theirs, "email:a@example.com")
        assert await store.claim(tenant, theirs, "email:b@example.com")

    async def test_of_twenty_claims_at_once_exactly_one_wins(
        self, store: UserStore, tenant: str
    ) -> None:
        keys = [new_key() for _ in range(20)]
        held = await asyncio.gather(*(store.claim(tenant, key, "user:1") for key in keys))
        assert held.count(True) == 1
        winner = keys[held.index(True)]
        assert all(
            await asyncio.gather(*(store.claim(tenant, winner, "user:1") for _ in range(10)))
        )

    async def test_a_released_claim_is_free_for_others_and_fenced_for_its_key(
        self, store: UserStore, tenant: str
    ) -> None:
        mine, theirs = new_key(), new_key()
        await store.claim(tenant, mine, "user:1")
        await store.release(tenant, mine)
        await store.release(tenant, mine)
        assert await reason_of(store.claim(tenant, mine, "user:1")) == "FENCED"
        assert await store.claim(tenant, theirs, "user:1")
        assert await reason_of(store.claim(tenant, mine, "user:1")) == "FENCED"

    async def test_a_claim_that_lands_after_its_release_is_fenced(
        self, store: UserStore, tenant: str
    ) -> None:
        mine = new_key()
        await store.release(tenant, mine)
        assert await reason_of(store.claim(tenant, mine, "user:1")) == "FENCED"
        assert await store.claim(tenant, new_key(), "user:1")

    async def test_the_release_of_a_lost_claim_does_not_free_the_winners(
        self, store: UserStore, tenant: str
    ) -> None:
        mine, theirs = new_key(), new_key()
        assert await store.claim(tenant, mine, "user:1")
        assert not await store.claim(tenant, theirs, "user:1")
        await store.release(tenant, theirs)
        assert await store.claim(tenant, mine, "user:1")
        assert not await store.claim(tenant, new_key(), "user:1")

    async def test_a_claim_that_races_its_release_holds_nothing(
        self, store: UserStore, tenant: str
    ) -> None:
        for number in range(25):
            mine = new_key()
            calls: list[Awaitable[object]] = [
                store.claim(tenant, mine, "user:1"),
                store.release(tenant, mine),
            ]
            _, reasons = await outcomes(calls if number % 2 else calls[::-1])
            assert set(reasons) <= {"FENCED"}
            other = new_key()
            assert await store.claim(tenant, other, "user:1")
            await store.release(tenant, other)

    async def test_a_forgotten_resource_is_free(self, store: UserStore, tenant: str) -> None:
        mine = new_key()
        await store.claim(tenant, mine, "email:a@example.com")
        await store.claim(tenant, mine + "/2", "email:b@example.com")
        await store.forget(tenant, "email:a@example.com")
        await store.forget(tenant, "email:a@example.com")
        await store.forget(tenant, "email:never@example.com")
        assert await store.claim(tenant, new_key(), "email:a@example.com")
        assert not await store.claim(tenant, new_key(), "email:b@example.com")


class ReadContract:
    """Pages, tenants, purge, what strings may hold."""

    async def test_pages_walk_over_ties_while_users_come_and_go(
        self, store: UserStore, tenant: str
    ) -> None:
        times = [BORN + timedelta(microseconds=n // 3) for n in range(10)]
        records = [new_record(born=born) for born in random.Random(3).sample(times, len(times))]
        await asyncio.gather(*(store.create(tenant, new_key(), record) for record in records))
        undone = new_key()
        await store.create(tenant, undone, new_record(born=BORN))
        await store.remove(tenant, undone)
        after: Position | None = None
        seen: list[str] = []
        while page := await store.page(tenant, after, 2):  # ties are of three
            assert len(page) <= 2
            seen += [found.record.user.user_id for found in page]
            last = page[-1].record.user
            after = Position(last.create_time.ToDatetime(tzinfo=UTC), last.user_id)
            if len(seen) == 4:
                early = new_record(born=BORN - timedelta(days=1))
                late = new_record(born=BORN + timedelta(days=1))
                await store.create(tenant, new_key(), early)
                await store.create(tenant, new_key(), late)
                records.append(late)
        ordered = sorted(
            records, key=lambda r: (r.user.create_time.ToMicroseconds(), r.user.user_id)
        )
        assert seen == [record.user.user_id for record in ordered]

    async def test_tenants_do_not_see_each_other(self, store: UserStore, tenant: str) -> None:
        other = tenant + "-other"
        key, record = new_key(), new_record("both@example.com")
        mine = await store.create(tenant, key, record)
        theirs = await store.create(other, key, new_record("both@example.com"))
        user_id = record.user.user_id
        assert await reason_of(store.get(other, user_id)) == "USER_NOT_FOUND"
        after = changed(record.user, "Intruder")
        assert await reason_of(store.replace(other, after, [record.user.etag])) == "USER_NOT_FOUND"
        await store.erase(other, user_id)
        assert await store.claim(tenant, "k1", "user:1")
        assert await store.claim(other, "k1", "user:1")
        await store.forget(other, "user:1")
        await store.release(other, "k1")
        assert not await store.claim(tenant, "k2", "user:1")
        await store.remove(other, key)
        assert await live(store, tenant) == [mine]
        assert await live(store, other) == []
        assert theirs.record.user.user_id != user_id

    async def test_the_purge_takes_old_tombstones_only(
        self, store: UserStore, tenant: str, age: Age
    ) -> None:
        week_ago = datetime.now(UTC) - timedelta(days=7)
        created = await store.create(tenant, new_key(), new_record())
        assert await store.claim(tenant, new_key(), "user:1")
        old = [new_key() for _ in range(3)]
        for key in old:
            await store.remove(tenant, key)
            await store.release(tenant, key + "/lock")
        await age(tenant)
        young = new_key()
        await store.remove(tenant, young)
        await store.release(tenant, young + "/lock")
        purged = 0
        while count := await store.purge(week_ago):
            purged += count
        assert purged >= 6
        assert await live(store, tenant) == [created]
        assert not await store.claim(tenant, new_key(), "user:1")
        assert await reason_of(store.create(tenant, young, new_record())) == "FENCED"
        assert await reason_of(store.claim(tenant, young + "/lock", "user:2")) == "FENCED"
        for key in old:
            assert await store.claim(tenant, key + "/lock", f"user:{key}")
            await store.create(tenant, key, new_record())

    @pytest.mark.parametrize(
        "name",
        [
            "Robert'); DROP TABLE users;--",
            '"quoted" \\ back`tick` %s $1 {0} [x]',
            "Zoë 👩‍👩‍👧 陳大文 \u202eabc\u200b",
            "n" * 199 + "é",
            " lead and trail \t\n",
            "null",
        ],
    )
    async def test_hostile_names_come_back_unchanged(
        self, store: UserStore, tenant: str, name: str
    ) -> None:
        record = new_record(name=name)
        await store.create(tenant, f"key {name}", record)
        found = await store.get(tenant, record.user.user_id)
        assert found.record.user.display_name == name
        assert await store.claim(tenant, new_key(), f"email:{name}")
        assert not await store.claim(tenant, new_key(), f"email:{name}")
        await store.erase(tenant, f"'{name}'")
        assert await reason_of(store.get(tenant, name)) == "USER_NOT_FOUND"
        await store.remove(tenant, f"key {name}")
        assert await live(store, tenant) == []

    async def test_signs_of_queries_in_an_address_are_parts_of_it(
        self, store: UserStore, tenant: str
    ) -> None:
        email = "a&b=c%20+d*e|f'g/h?i#{x}.j!k~l@example.com"
        key, record = new_key(), new_record(email)
        created = await store.create(tenant, key, record)
        assert await store.get(tenant, record.user.user_id) == created
        other = await reason_of(store.create(tenant, new_key(), new_record(email)))
        assert other == "EMAIL_TAKEN"
        near = new_record(email.replace("*", "x"))
        await store.create(tenant, new_key(), near)
        assert await store.claim(tenant, key, email)
        assert not await store.claim(tenant, new_key(), email)
        await store.forget(tenant, email)
        assert await store.claim(tenant, new_key(), email)
        await store.erase(tenant, record.user.user_id)
        assert [user.record for user in await live(store, tenant)] == [near]

    async def test_attributes_come_back_exactly(self, store: UserStore, tenant: str) -> None:
        record = new_record()
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
        await store.create(tenant, new_key(), record)
        assert (await store.get(tenant, record.user.user_id)).record == record
        bare = new_record()
        bare.user.ClearField("profile")
        await store.create(tenant, new_key(), bare)
        assert (await store.get(tenant, bare.user.user_id)).record == bare

    @pytest.mark.parametrize("place", ["name", "attribute", "attribute key", "key", "user_id"])
    async def test_a_nul_is_refused_cleanly_or_kept(
        self, store: UserStore, tenant: str, place: str
    ) -> None:
        key, record = new_key(), new_record()
        match place:
            case "name":
                record.user.display_name = "a\0b"
            case "attribute":
                record.user.profile.attributes["x"] = "a\0b"
            case "attribute key":
                record.user.profile.attributes["a\0b"] = "x"
            case "key":
                key += "\0"
            case _:
                record.user.user_id += "\0"
        reason = await reason_of(store.create(tenant, key, record))
        if reason:
            assert reason in ("STORE_REFUSED", "INVALID_ARGUMENT")
            assert await live(store, tenant) == []
        else:
            assert [found.record for found in await live(store, tenant)] == [record]

    async def test_it_answers_a_ping(self, store: UserStore) -> None:
        await store.ping()


class DistanceContract:
    """A server that is away, silent, and back."""

    async def test_a_store_that_is_away_says_so_in_time_and_recovers(
        self, distant: Distant, tenant: str
    ) -> None:
        store, proxy = distant.store, distant.proxy
        record = new_record()
        await store.create(tenant, new_key(), record)
        await proxy.cut()
        began = time.monotonic()
        calls: list[Awaitable[object]] = [
            store.create(tenant, new_key(), new_record()),
            store.get(tenant, record.user.user_id),
            store.page(tenant, None, 10),
            store.claim(tenant, new_key(), "user:1"),
            store.remove(tenant, new_key()),
            store.ping(),
        ]
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, Fault), outcome
            assert outcome.reason == Reason.REASON_STORE_UNAVAILABLE
            assert str(proxy.port) not in str(outcome), "the driver's text leaks"
        assert time.monotonic() - began < PATIENCE_S
        await proxy.mend()
        await recovered(store, tenant, record)

    async def test_a_commit_whose_reply_was_lost_is_found_by_the_retry(
        self, distant: Distant, tenant: str
    ) -> None:
        store, proxy = distant.store, distant.proxy
        first = new_record()
        await store.create(tenant, new_key(), first)
        proxy.silence()
        key, record = new_key(), new_record()
        began = time.monotonic()
        assert await reason_of(store.create(tenant, key, record)) == "STORE_UNAVAILABLE"
        assert time.monotonic() - began < PATIENCE_S
        await proxy.mend()
        await recovered(store, tenant, first)
        again = await store.create(tenant, key, record)
        assert again.record == record
        assert len(await live(store, tenant)) == 2


async def recovered(store: UserStore, tenant: str, record: UserRecord) -> None:
    """Waits until the store answers again, by itself, within 90 seconds."""
    deadline = time.monotonic() + 90
    while (reason := await reason_of(store.get(tenant, record.user.user_id))) and (
        time.monotonic() < deadline
    ):
        assert reason == "STORE_UNAVAILABLE"
        await asyncio.sleep(0.1)
    assert reason == ""


class UserStoreContract(
    CreateContract, ReplaceContract, ClaimContract, ReadContract, DistanceContract
):
    """Everything that a store must do."""
