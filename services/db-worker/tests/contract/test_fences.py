"""Fences hold in every engine: an effect lands once, and never after its undo."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from backdoors import BackDoor
from calls import new_key, outcomes, reason_of
from samples import SAMPLES, Values, changed, new_sample

from nexpo_db_worker.capabilities.fences import Fences
from nexpo_db_worker.capabilities.records import Records
from nexpo_db_worker.capabilities.rows import Row

# An engine tries again while others are in its way: one that never stops fails here, and soon.
pytestmark = pytest.mark.timeout(60)


async def live(records: Records, tenant: str) -> list[Row]:
    return await records.page(tenant, None, 1000)


async def test_a_created_row_is_read_back_whole(
    fences: Fences, records: Records, tenant: str
) -> None:
    sample = new_sample()
    created = await fences.create(tenant, new_key(), sample)
    assert created.own_id
    assert created.values == sample
    assert await records.get(tenant, sample["name"]) == created


async def test_the_same_key_again_returns_the_first_row(
    fences: Fences, records: Records, tenant: str
) -> None:
    key, sample = new_key(), new_sample()
    first = await fences.create(tenant, key, sample)
    assert await fences.create(tenant, key, sample) == first
    other = new_sample()
    assert await fences.create(tenant, key, other) == first
    assert await live(records, tenant) == [first]
    assert await records.get(tenant, other["name"]) is None


async def test_one_key_twenty_times_at_once_makes_one_row(
    fences: Fences, records: Records, tenant: str
) -> None:
    key, sample = new_key(), new_sample()
    results, reasons = await outcomes([fences.create(tenant, key, sample) for _ in range(20)])
    assert reasons == []
    assert len({result.own_id for result in results}) == 1
    assert len(await live(records, tenant)) == 1


async def test_of_twenty_rows_with_one_unique_value_exactly_one_wins(
    fences: Fences, records: Records, tenant: str
) -> None:
    rows = {new_key(): new_sample("one@example.com") for _ in range(20)}
    results, reasons = await outcomes(
        [fences.create(tenant, key, sample) for key, sample in rows.items()]
    )
    assert len(results) == 1
    assert reasons == ["TAKEN label"] * 19
    assert await live(records, tenant) == results
    losers = [key for key, sample in rows.items() if sample["name"] != results[0].name]
    await asyncio.gather(*(fences.remove(tenant, key) for key in losers))
    assert await live(records, tenant) == results, "undoing a loser must not touch the winner"


async def test_a_name_that_another_key_wrote_is_taken(
    fences: Fences, records: Records, tenant: str
) -> None:
    sample, other = new_sample(), new_sample()
    created = await fences.create(tenant, new_key(), sample)
    other["name"] = sample["name"]
    async with asyncio.timeout(30):
        assert await reason_of(fences.create(tenant, new_key(), other)) == "TAKEN name"
    assert await live(records, tenant) == [created]


async def test_a_unique_value_is_free_again_after_the_undo(
    fences: Fences, records: Records, tenant: str
) -> None:
    key = new_key()
    await fences.create(tenant, key, new_sample("free@example.com"))
    await fences.remove(tenant, key)
    second = await fences.create(tenant, new_key(), new_sample("free@example.com"))
    assert await live(records, tenant) == [second]


async def test_a_creation_after_its_undo_is_fenced(
    fences: Fences, records: Records, tenant: str
) -> None:
    key, sample = new_key(), new_sample()
    await fences.remove(tenant, key)
    assert await reason_of(fences.create(tenant, key, sample)) == "FENCED"
    await fences.remove(tenant, key)
    assert await reason_of(fences.create(tenant, key, sample)) == "FENCED"
    assert await live(records, tenant) == []
    await fences.create(tenant, new_key(), sample)


async def test_the_undo_removes_and_may_be_repeated(
    fences: Fences, records: Records, tenant: str
) -> None:
    key, sample = new_key(), new_sample()
    await fences.create(tenant, key, sample)
    await asyncio.gather(*(fences.remove(tenant, key) for _ in range(5)))
    await fences.remove(tenant, key)
    assert await live(records, tenant) == []
    assert await records.get(tenant, sample["name"]) is None
    assert await reason_of(fences.create(tenant, key, sample)) == "FENCED"


async def test_a_creation_that_races_its_undo_leaves_nothing(
    fences: Fences, records: Records, tenant: str
) -> None:
    dice = random.Random(7)

    async def later(call: Callable[[], Awaitable[object]], spread: float) -> None:
        await asyncio.sleep(dice.random() * spread)
        # What two do at once a database may refuse to one of them; then it is tried again.
        for _ in range(20):
            reason = await reason_of(call())
            if reason != "STORE_UNAVAILABLE":
                break
        assert reason in ("", "FENCED")

    async def race() -> tuple[str, Values]:
        key, sample = new_key(), new_sample("race@example.com")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: fences.create(tenant, key, sample),
            lambda: fences.create(tenant, key, sample),
            lambda: fences.remove(tenant, key),
            lambda: fences.remove(tenant, key),
        ]
        dice.shuffle(calls)
        await asyncio.gather(*(later(call, dice.choice([0.0, 0.002, 0.01])) for call in calls))
        return key, sample

    for _ in range(40):
        key, sample = await race()
        assert await live(records, tenant) == []
        assert await reason_of(fences.create(tenant, key, sample)) == "FENCED"
    await fences.create(tenant, new_key(), new_sample("race@example.com"))


async def test_an_erased_row_is_gone_and_stays_gone(
    fences: Fences, records: Records, tenant: str
) -> None:
    key, sample = new_key(), new_sample("gone@example.com")
    await fences.create(tenant, key, sample)
    await asyncio.gather(*(fences.erase(tenant, sample["name"]) for _ in range(3)))
    await fences.erase(tenant, sample["name"])
    await fences.erase(tenant, new_sample()["name"])
    assert await live(records, tenant) == []
    assert await reason_of(fences.create(tenant, key, sample)) == "FENCED"
    await fences.create(tenant, new_key(), new_sample("gone@example.com"))


async def test_an_erasure_that_races_a_replacement_wins(
    fences: Fences, records: Records, tenant: str
) -> None:
    for _ in range(20):
        sample = new_sample()
        await fences.create(tenant, new_key(), sample)
        after = changed(sample, "Too late")
        results, reasons = await outcomes(
            [
                records.replace(tenant, after, [sample["version"]]),
                fences.erase(tenant, sample["name"]),
            ]
        )
        assert reasons == []
        assert results[0] in (after["version"], None)
        assert await live(records, tenant) == []


async def test_tombstones_hold_nothing_of_the_row(
    fences: Fences, tenant: str, door: BackDoor
) -> None:
    undone, erased = new_sample("undone@example.com"), new_sample("erased@example.com")
    undone["note"] = erased["note"] = "Zebulon Quix"
    key = new_key()
    await fences.create(tenant, key, undone)
    await fences.create(tenant, new_key(), erased)
    assert "Zebulon Quix" in await door.dump(SAMPLES, tenant), "the dump must show live rows"
    await fences.remove(tenant, key)
    await fences.erase(tenant, erased["name"])
    left = await door.dump(SAMPLES, tenant)
    for sample in (undone, erased):
        for column in ("name", "label", "note", "version"):
            assert sample[column] not in left
    assert "Europe/Zurich" not in left


async def test_the_purge_takes_old_tombstones_only(
    fences: Fences, records: Records, tenant: str, door: BackDoor
) -> None:
    week_ago = datetime.now(UTC) - timedelta(days=7)
    created = await fences.create(tenant, new_key(), new_sample())
    old = [new_key() for _ in range(3)]
    for key in old:
        await fences.remove(tenant, key)
    await door.age(SAMPLES, tenant)
    young = new_key()
    await fences.remove(tenant, young)
    purged = 0
    while count := await fences.purge(week_ago):
        purged += count
    assert purged >= 3
    assert await live(records, tenant) == [created]
    assert await reason_of(fences.create(tenant, young, new_sample())) == "FENCED"
    for key in old:
        await fences.create(tenant, key, new_sample())


async def test_tenants_do_not_see_each_other(fences: Fences, records: Records, tenant: str) -> None:
    other = tenant + "-other"
    key, sample = new_key(), new_sample("both@example.com")
    mine = await fences.create(tenant, key, sample)
    await fences.create(other, key, new_sample("both@example.com"))
    name = sample["name"]
    assert await records.get(other, name) is None
    assert await records.replace(other, changed(sample, "Intruder"), [sample["version"]]) is None
    await fences.erase(other, name)
    await fences.remove(other, key)
    assert await live(records, tenant) == [mine]
    assert await live(records, other) == []


@pytest.mark.parametrize("place", ["note", "body", "key of the body", "key", "name"])
async def test_a_nul_is_refused_cleanly_or_kept(
    fences: Fences, records: Records, tenant: str, place: str
) -> None:
    key, sample = new_key(), new_sample()
    match place:
        case "body":
            sample["body"] = {"x": "a\0b"}
        case "key of the body":
            sample["body"] = {"a\0b": "x"}
        case "key":
            key += "\0"
        case _:
            sample[place] += "\0"
    reason = await reason_of(fences.create(tenant, key, sample))
    if reason:
        assert reason in ("STORE_REFUSED", "INVALID_ARGUMENT")
        assert await live(records, tenant) == []
    else:
        assert [found.values for found in await live(records, tenant)] == [sample]
