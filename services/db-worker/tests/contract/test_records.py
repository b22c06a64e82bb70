"""Records in every engine: listed in order, changed by etag, exact to the last bit."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from backdoors import BackDoor
from calls import new_key, outcomes, reason_of
from samples import BORN, SAMPLES, changed, new_sample

from nexpo_db_worker.capabilities.fences import Fences
from nexpo_db_worker.capabilities.records import Records
from nexpo_db_worker.capabilities.rows import Place, Values
from nexpo_db_worker.claims import Claims
from nexpo_db_worker.databases.opened import Database


async def values_of(records: Records, tenant: str, name: str) -> Values | None:
    row = await records.get(tenant, name)
    return None if row is None else row.values


async def test_a_replacement_writes_what_is_given_and_nothing_else(
    fences: Fences, records: Records, tenant: str
) -> None:
    sample = new_sample()
    created = await fences.create(tenant, new_key(), sample)
    after = {**changed(sample, "Ada King"), "body": {"plan": "pro"}, "label": "new@example.com"}
    del after["seen"]
    assert await records.replace(tenant, after, [sample["version"]]) == after["version"]
    found = await records.get(tenant, sample["name"])
    assert found is not None
    assert found.values == {**after, "seen": sample["seen"]}
    assert found.own_id == created.own_id


async def test_a_replacement_may_be_repeated(fences: Fences, records: Records, tenant: str) -> None:
    sample = new_sample()
    await fences.create(tenant, new_key(), sample)
    after = changed(sample, "Ada King")
    for _ in range(3):
        assert await records.replace(tenant, after, [sample["version"]]) == after["version"]
    assert await values_of(records, tenant, after["name"]) == after


async def test_a_replacement_of_another_etag_writes_nothing(
    fences: Fences, records: Records, tenant: str
) -> None:
    sample = new_sample()
    await fences.create(tenant, new_key(), sample)
    after = changed(sample, "Ada King")
    assert await records.replace(tenant, after, ["other"]) == sample["version"]
    assert await records.replace(tenant, after, []) == sample["version"]
    assert await values_of(records, tenant, after["name"]) == sample
    expected = ["other", '"),(\\', sample["version"]]
    assert await records.replace(tenant, after, expected) == after["version"]
    assert await values_of(records, tenant, after["name"]) == after


async def test_of_ten_replacements_at_once_exactly_one_wins(
    fences: Fences, records: Records, tenant: str
) -> None:
    sample = new_sample()
    await fences.create(tenant, new_key(), sample)
    versions = [changed(sample, f"Ada {n}") for n in range(10)]
    results, reasons = await outcomes(
        [records.replace(tenant, version, [sample["version"]]) for version in versions]
    )
    assert reasons == []
    won = [one for one, etag in zip(versions, results, strict=True) if etag == one["version"]]
    assert len(won) == 1
    assert await values_of(records, tenant, sample["name"]) == won[0]


async def test_a_row_that_is_not_there_cannot_be_replaced(
    fences: Fences, records: Records, tenant: str
) -> None:
    key, sample = new_key(), new_sample()
    after, expected = changed(sample, "Nobody"), [sample["version"]]
    assert await records.replace(tenant, after, expected) is None
    await fences.create(tenant, key, sample)
    await fences.remove(tenant, key)
    assert await records.replace(tenant, after, expected) is None
    assert await records.page(tenant, None, 1000) == []


async def test_a_replacement_cannot_take_what_another_row_has(
    fences: Fences, records: Records, tenant: str
) -> None:
    sample = new_sample()
    await fences.create(tenant, new_key(), new_sample("taken@example.com"))
    await fences.create(tenant, new_key(), sample)
    after = {**changed(sample, "Eve"), "label": "taken@example.com"}
    call = records.replace(tenant, after, [sample["version"]])
    assert await reason_of(call) == "TAKEN label"
    assert await values_of(records, tenant, sample["name"]) == sample


async def test_pages_walk_over_ties_while_rows_come_and_go(
    fences: Fences, records: Records, tenant: str
) -> None:
    # Over the end of a second, where a time may be written shorter.
    begin = BORN.replace(microsecond=999_999)
    times = [begin + timedelta(microseconds=n // 3) for n in range(10)]
    samples = [new_sample(born=born) for born in random.Random(3).sample(times, len(times))]
    await asyncio.gather(*(fences.create(tenant, new_key(), sample) for sample in samples))
    undone = new_key()
    await fences.create(tenant, undone, new_sample(born=begin))
    await fences.remove(tenant, undone)
    after: Place | None = None
    seen: list[str] = []
    while page := await records.page(tenant, after, 2):  # ties are of three
        assert len(page) <= 2
        seen += [row.name for row in page]
        assert len(seen) == len(set(seen)), "a row is on two pages"
        after = page[-1].place
        assert after == Place(page[-1].values["born"], page[-1].name)
        if len(seen) == 4:
            late = new_sample(born=BORN + timedelta(days=1))
            await fences.create(tenant, new_key(), new_sample(born=BORN - timedelta(days=1)))
            await fences.create(tenant, new_key(), late)
            samples.append(late)
    ordered = sorted(samples, key=lambda sample: (sample["born"], sample["name"]))
    assert seen == [sample["name"] for sample in ordered]


@pytest.mark.parametrize(
    "text",
    [
        "Robert'); DROP TABLE users;--",
        '"quoted" \\ back`tick` %s $1 {0} [x]',
        "Zoë 👩‍👩‍👧 陳大文 \u202eabc\u200b",
        "n" * 199 + "é",
        " lead and trail \t\n",
        "null",
    ],
)
async def test_hostile_texts_come_back_unchanged(
    fences: Fences, records: Records, claims: Claims, tenant: str, text: str
) -> None:
    sample = new_sample(note=text)
    await fences.create(tenant, f"key {text}", sample)
    assert await values_of(records, tenant, sample["name"]) == sample
    assert await claims.claim(tenant, new_key(), f"email:{text}")
    assert not await claims.claim(tenant, new_key(), f"email:{text}")
    await fences.erase(tenant, f"'{text}'")
    assert await records.get(tenant, text) is None
    await fences.remove(tenant, f"key {text}")
    assert await records.page(tenant, None, 1000) == []


async def test_signs_of_queries_in_a_unique_value_are_parts_of_it(
    fences: Fences, records: Records, claims: Claims, tenant: str
) -> None:
    label = "a&b=c%20+d*e|f'g/h?i#{x}.j!k~l@example.com"
    key, sample = new_key(), new_sample(label)
    created = await fences.create(tenant, key, sample)
    assert await records.get(tenant, sample["name"]) == created
    other = fences.create(tenant, new_key(), new_sample(label))
    assert await reason_of(other) == "TAKEN label"
    near = new_sample(label.replace("*", "x"))
    await fences.create(tenant, new_key(), near)
    assert await claims.claim(tenant, key, label)
    assert not await claims.claim(tenant, new_key(), label)
    await claims.forget(tenant, label)
    assert await claims.claim(tenant, new_key(), label)
    await fences.erase(tenant, sample["name"])
    assert [row.values for row in await records.page(tenant, None, 1000)] == [near]


async def test_json_comes_back_exactly(fences: Fences, records: Records, tenant: str) -> None:
    sample, bare = new_sample(), new_sample()
    sample["body"] = {
        "text": "naïve 🙂 'quote' \"double\" \\",
        "numbers": [0.1, 1e300, -2.5, 9007199254740991.0, 5e-324, 0.0],
        "nested": {"deep": {"er": [True, False, None, {"": "empty key"}]}, "empty": {}},
        "$set": {"a.b": 1.0, "$ref": "x", "_id": 5.0, "id": "y", "__proto__": 1.0},
        "list": [[], [[]], ""],
        "Ünïcode 鍵": "v",
    }
    bare["body"] = None
    for one in (sample, bare):
        await fences.create(tenant, new_key(), one)
        found = await values_of(records, tenant, one["name"])
        assert found is not None
        assert {**found, "body": in_doubles(found["body"])} == one


def in_doubles(plain: Any) -> Any:
    """JSON whose every number is a double."""
    match plain:
        case dict():
            return {key: in_doubles(value) for key, value in plain.items()}
        case list():
            return [in_doubles(value) for value in plain]
        case int() if not isinstance(plain, bool):
            return float(plain)
    return plain


@pytest.mark.parametrize(
    ("column", "value"), [("body", [1, 2]), ("body", "text"), ("body", {"fine": True})]
)
async def test_a_row_that_others_made_unreadable_is_shown_by_its_name_among_the_others(
    fences: Fences, records: Records, tenant: str, door: BackDoor, column: str, value: Any
) -> None:
    samples = [new_sample(born=BORN + timedelta(seconds=n)) for n in range(3)]
    for sample in samples:
        await fences.create(tenant, new_key(), sample)
    planted = samples[1]["name"]
    await door.plant(SAMPLES, planted, column, value)
    page = await records.page(tenant, None, 10)
    assert [row.name for row in page] == [sample["name"] for sample in samples]
    assert [row.values for row in (page[0], page[2])] == [samples[0], samples[2]]
    assert page[1].place == Place(samples[1]["born"], planted)
    if isinstance(value, dict):
        assert page[1].values == {**samples[1], column: value}
    else:
        assert page[1].error is not None
        assert page[1].values == {}
    after = changed(samples[1], "Mended")
    assert await records.replace(tenant, after, [samples[1]["version"]]) == after["version"]
    assert await values_of(records, tenant, planted) == after


async def test_it_answers_a_ping(database: Database) -> None:
    await database.ping()
