"""The fault end point strikes what it is told to, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from nexpo_dev.pytest_plugin import CosmosAddress


@pytest.fixture
async def faults(stand_in: CosmosAddress) -> AsyncIterator[httpx.AsyncClient]:
    """The end point; what a test set is removed after it."""
    headers = {"authorization": f"Bearer {stand_in.key}"}
    made: list[int] = []

    async def remember(answer: httpx.Response) -> None:
        if answer.request.method == "POST" and answer.status_code == 200:
            await answer.aread()
            made.append(answer.json()["id"])

    async with httpx.AsyncClient(
        base_url=stand_in.url, headers=headers, event_hooks={"response": [remember]}
    ) as client:
        yield client
        for number in made:
            await client.delete(f"/_fault/{number}")


@pytest.fixture
def only(container: ContainerProxy) -> str:
    """Text that only this test's requests have."""
    return container.container_link


def item(name: str) -> dict[str, Any]:
    return {"id": name, "tenant": "t", "email": name}


async def test_the_next_requests_are_refused_and_then_no_more(
    faults: httpx.AsyncClient, container: ContainerProxy, only: str
) -> None:
    fault = {"contains": only, "operation": "create", "status": 449, "substatus": 7, "times": 2}
    await faults.post("/_fault", json=fault)
    for _ in range(2):
        with pytest.raises(CosmosHttpResponseError) as caught:
            await container.create_item(item("a"))
        assert (caught.value.status_code, caught.value.sub_status) == (449, 7)
        await container.upsert_item(item("b"))
    await container.create_item(item("a"))


async def test_only_what_is_named_is_struck(
    faults: httpx.AsyncClient, container: ContainerProxy, only: str
) -> None:
    await faults.post("/_fault", json={"contains": '"id": "b"', "collection": "users"})
    await faults.post("/_fault", json={"contains": only, "collection": "others"})
    await faults.post("/_fault", json={"contains": only, "operation": "delete"})
    await container.create_item(item("a"))
    await container.read_item("a", "t")
    with pytest.raises(CosmosHttpResponseError):
        await container.delete_item("a", "t")


@pytest.mark.parametrize(("moment", "landed"), [("before", False), ("after", True)])
async def test_a_dropped_connection_has_or_has_not_its_effect(
    faults: httpx.AsyncClient, container: ContainerProxy, only: str, moment: str, landed: bool
) -> None:
    fault = {"contains": only, "operation": "create", "action": "drop", "moment": moment}
    await faults.post("/_fault", json=fault)
    with pytest.raises(AzureError):
        await container.create_item(item("a"))
    found = [document["id"] async for document in container.read_all_items()]
    assert found == (["a"] if landed else [])


async def test_a_held_reply_comes_when_the_fault_is_removed(
    faults: httpx.AsyncClient, container: ContainerProxy, only: str
) -> None:
    fault = {"contains": only, "operation": "create", "action": "hold", "moment": "after"}
    number = (await faults.post("/_fault", json=fault)).json()["id"]

    async def create() -> str:
        return str((await container.create_item(item("a")))["id"])

    call = asyncio.create_task(create())
    while [document["id"] async for document in container.read_all_items()] != ["a"]:
        assert not call.done()
    await faults.delete(f"/_fault/{number}")
    assert await asyncio.wait_for(call, 90) == "a"
    assert (await faults.delete(f"/_fault/{number}")).status_code == 404


async def test_a_delayed_request_is_carried_out_after_its_time(
    faults: httpx.AsyncClient, container: ContainerProxy, only: str
) -> None:
    fault = {"contains": only, "operation": "create", "action": "hold", "seconds": 0.3}
    await faults.post("/_fault", json=fault)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await container.create_item(item("a"))
    assert loop.time() - began >= 0.3


@pytest.mark.parametrize(
    "fault",
    [
        [],
        {"unknown": 1},
        {"id": 5},
        {"action": "explode"},
        {"moment": "never"},
        {"times": "two"},
        {"times": True},
        {"status": 200},
        {"status": None},
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(
    faults: httpx.AsyncClient, fault: object
) -> None:
    before = len((await faults.get("/_fault")).json())
    assert (await faults.post("/_fault", json=fault)).status_code == 400
    assert len((await faults.get("/_fault")).json()) <= before
