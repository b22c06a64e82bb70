"""The change feed tells every last change once, per container, key and range."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from azure.cosmos.aio import ContainerProxy


def item(name: str, tenant: str = "t", **more: Any) -> dict[str, Any]:
    return {"id": name, "tenant": tenant, "email": name, **more}


async def read(container: ContainerProxy, **options: Any) -> tuple[list[str], str]:
    """Ids of the changes, and the continuation for the next reading."""
    feed = container.query_items_change_feed(**options)
    found = [document["id"] async for document in feed]
    return found, container.client_connection.last_response_headers["etag"]


async def test_changes_come_once_in_order_and_go_on_where_they_ended(
    container: ContainerProxy,
) -> None:
    for name in "abc":
        await container.create_item(item(name))
    await container.upsert_item(item("a", n=2))
    found, token = await read(container, start_time="Beginning", max_item_count=2)
    assert found == ["b", "c", "a"]
    found, token = await read(container, continuation=token)
    assert found == []
    await container.replace_item("b", item("b", n=2))
    await container.delete_item("c", "t")
    await container.create_item(item("d", "other"))
    found, token = await read(container, continuation=token)
    assert found == ["b", "d"]


async def test_a_feed_of_one_key_has_its_changes_only(container: ContainerProxy) -> None:
    for name, tenant in (("a", "t"), ("b", "other"), ("c", "t")):
        await container.create_item(item(name, tenant))
    found, token = await read(container, start_time="Beginning", partition_key="t")
    assert found == ["a", "c"]
    await container.create_item(item("d", "other"))
    await container.create_item(item("e", "t"))
    assert (await read(container, continuation=token))[0] == ["e"]


async def test_feed_ranges_cover_every_item_once(container: ContainerProxy) -> None:
    for number in range(12):
        await container.create_item(item(f"i{number}", f"tenant {number}"))
    found: list[str] = []
    async for feed_range in container.read_feed_ranges():
        found += (await read(container, start_time="Beginning", feed_range=feed_range))[0]
    assert sorted(found) == sorted(f"i{number}" for number in range(12))


async def test_a_feed_from_now_has_nothing_old(container: ContainerProxy) -> None:
    await container.create_item(item("a"))
    found, token = await read(container, start_time="Now")
    assert found == []
    await container.create_item(item("b"))
    assert (await read(container, continuation=token))[0] == ["b"]


async def test_a_feed_from_a_time_starts_there(container: ContainerProxy) -> None:
    first = await container.create_item(item("a"))
    second = first
    while second["_ts"] < first["_ts"] + 2:
        await asyncio.sleep(0.2)
        second = await container.upsert_item(item("b"))
    start = datetime.fromtimestamp(first["_ts"] + 1, UTC)
    assert (await read(container, start_time=start))[0] == ["b"]
