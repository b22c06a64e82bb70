"""Items behave as Cosmos DB's do, seen through its SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

UNIQUE_EMAIL: Any = {"uniqueKeys": [{"paths": ["/email"]}]}


def item(name: str, tenant: str = "t", **more: Any) -> dict[str, Any]:
    return {"id": name, "tenant": tenant, "email": f"{name}@example.com", **more}


async def status_of(call: Awaitable[object]) -> tuple[int | None, int]:
    """Status and substatus of a call that must fail."""
    with pytest.raises(CosmosHttpResponseError) as caught:
        await call
    return caught.value.status_code, caught.value.sub_status or 0


async def ids(container: ContainerProxy) -> list[str]:
    return [found["id"] async for found in container.read_all_items()]


async def test_an_item_comes_back_with_what_the_service_adds(container: ContainerProxy) -> None:
    written = await container.create_item(item("a", deep={"list": [1, 2.5, None, "é\0"]}))
    assert {"_rid", "_self", "_etag", "_ts", "_attachments"} <= set(written)
    assert await container.read_item("a", partition_key="t") == written
    assert written["deep"] == {"list": [1, 2.5, None, "é\0"]}
    assert await status_of(container.read_item("b", partition_key="t")) == (404, 0)
    assert await status_of(container.read_item("a", partition_key="other")) == (404, 0)


async def test_an_id_is_unique_in_its_partition_only(container: ContainerProxy) -> None:
    await container.create_item(item("a"))
    await container.create_item(item("a", tenant="other"))
    assert await status_of(container.create_item(item("a", email="new"))) == (409, 0)


async def test_a_unique_key_holds_in_its_partition_only(container: ContainerProxy) -> None:
    await container.create_item(item("a", email="x"))
    await container.create_item(item("a", tenant="other", email="x"))
    assert await status_of(container.create_item(item("b", email="x"))) == (409, 0)
    assert await status_of(container.upsert_item(item("b", email="x"))) == (409, 0)
    await container.create_item(item("b"))
    assert await status_of(container.replace_item("b", item("b", email="x"))) == (409, 0)
    assert (await container.read_item("b", "t"))["email"] == "b@example.com"
    await container.upsert_item(item("a", email="free"))
    await container.replace_item("b", item("b", email="x"))
    await container.delete_item("b", "t")
    await container.create_item(item("c", email="x"))


async def test_a_missing_unique_value_counts_as_null(container: ContainerProxy) -> None:
    await container.create_item({"id": "a", "tenant": "t"})
    assert await status_of(container.create_item({"id": "b", "tenant": "t"})) == (409, 0)
    null = {"id": "c", "tenant": "t", "email": None}
    assert await status_of(container.create_item(null)) == (409, 0)


async def test_of_twenty_creations_at_once_exactly_one_wins(container: ContainerProxy) -> None:
    calls = [container.create_item(item(f"i{n}", email="one")) for n in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert len(await ids(container)) == 1


async def test_a_write_under_another_etag_is_refused(container: ContainerProxy) -> None:
    first = await container.create_item(item("a"))
    matching = {"etag": first["_etag"], "match_condition": MatchConditions.IfNotModified}
    second = await container.replace_item("a", item("a", n=2), **matching)
    assert second["_etag"] != first["_etag"]
    assert second["_rid"] == first["_rid"]
    assert await status_of(container.replace_item("a", item("a", n=3), **matching)) == (412, 0)
    assert await status_of(container.upsert_item(item("a", n=3), **matching)) == (412, 0)
    assert await status_of(container.delete_item("a", "t", **matching)) == (412, 0)
    assert (await container.read_item("a", "t"))["n"] == 2
    assert await status_of(container.replace_item("b", item("b"))) == (404, 0)
    assert await status_of(container.delete_item("b", "t")) == (404, 0)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a?b", "a#b", "trailing ", "x" * 1024])
async def test_an_id_that_cannot_be_is_refused(container: ContainerProxy, name: str) -> None:
    with pytest.raises((CosmosHttpResponseError, ValueError)):
        await container.create_item(item(name))
    assert await ids(container) == []


async def test_an_item_that_is_too_large_is_refused(container: ContainerProxy) -> None:
    await container.create_item(item("a", text="x" * 1_900_000))
    assert await status_of(container.create_item(item("b", text="x" * 2_200_000))) == (413, 0)


async def test_a_batch_is_done_whole_or_not_at_all(container: ContainerProxy) -> None:
    before = await container.create_item(item("old"))
    results = await container.execute_item_batch(
        [
            ("create", (item("a"),)),
            ("upsert", (item("b"),)),
            ("replace", ("old", item("old", n=1)), {"if_match_etag": before["_etag"]}),
            ("read", ("a",)),
            ("delete", ("b",)),
        ],
        partition_key="t",
    )
    assert [result["statusCode"] for result in results] == [201, 201, 200, 200, 204]
    assert sorted(await ids(container)) == ["a", "old"]
    with pytest.raises(CosmosBatchOperationError) as caught:
        await container.execute_item_batch(
            [
                ("create", (item("c"),)),
                ("replace", ("old", item("old", n=9)), {"if_match_etag": before["_etag"]}),
                ("create", (item("d"),)),
            ],
            partition_key="t",
        )
    assert caught.value.error_index == 1
    assert [r["statusCode"] for r in caught.value.operation_responses] == [424, 412, 424]
    assert sorted(await ids(container)) == ["a", "old"]
    assert (await container.read_item("old", "t"))["n"] == 1


async def test_many_items_are_read_at_once(container: ContainerProxy) -> None:
    for name, tenant in (("a", "t"), ("b", "t"), ("a", "u")):
        await container.create_item(item(name, tenant))
    one = await container.read_items([("a", "t"), ("b", "t"), ("none", "t")])
    assert [(found["id"], found["tenant"]) for found in one] == [("a", "t"), ("b", "t")]
    across = await container.read_items([("a", "u"), ("b", "t")])
    assert {(found["id"], found["tenant"]) for found in across} == {("a", "u"), ("b", "t")}


async def test_hundreds_of_items_of_many_partitions_are_read_at_once(
    container: ContainerProxy,
) -> None:
    await container.create_item(item("a", "t7"))
    found = await container.read_items([("a", f"t{number}") for number in range(900)])
    assert [document["tenant"] for document in found] == ["t7"]


async def test_levels_of_a_hierarchical_key_are_kept_apart(database: DatabaseProxy) -> None:
    container = await database.create_container("deep", PartitionKey(["/tenant", "/user"]))
    for tenant, user in (("t", "1"), ("t", "2"), ("u", "1")):
        await container.create_item({"id": "a", "tenant": tenant, "user": user})
    assert (await container.read_item("a", ["t", "2"]))["user"] == "2"
    found = container.query_items("SELECT * FROM c", partition_key=["t"])
    assert sorted([document["user"] async for document in found]) == ["1", "2"]


async def test_an_item_ends_with_its_time_to_live(database: DatabaseProxy) -> None:
    container = await database.create_container(
        "short",
        PartitionKey("/tenant"),
        default_ttl=-1,
        unique_key_policy=UNIQUE_EMAIL,
    )
    await container.create_item(item("a", email="x", ttl=1))
    await container.create_item(item("b"))
    for _ in range(60):
        if await ids(container) == ["b"]:
            break
        await asyncio.sleep(0.1)
    assert await ids(container) == ["b"]
    await container.create_item(item("c", email="x"))
    assert await status_of(container.create_item(item("d", ttl=0))) == (400, 0)


async def test_databases_and_containers_are_made_listed_changed_and_deleted(
    database: DatabaseProxy, container: ContainerProxy
) -> None:
    assert [found["id"] async for found in database.list_containers()] == ["users"]
    again = database.create_container("users", PartitionKey("/tenant"))
    assert await status_of(again) == (409, 0)
    changed: dict[str, Any] = {"container": "users", "default_ttl": 60}
    # https://github.com/Azure/azure-sdk-for-python/issues/40070
    kept = database.replace_container(partition_key=PartitionKey("/tenant"), **changed)
    assert await status_of(kept) == (403, 0)
    plain = await database.create_container("plain", PartitionKey("/tenant"))
    changed["container"] = "plain"
    await database.replace_container(partition_key=PartitionKey("/tenant"), **changed)
    assert (await plain.read())["defaultTtl"] == 60
    other = database.replace_container(partition_key=PartitionKey("/other"), **changed)
    assert await status_of(other) == (400, 0)
    await database.delete_container("users")
    assert (await status_of(container.read()))[0] == 404
