"""The stand-in keeps what it acknowledged, however it ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from nexpo_dev import servers


async def _users(client: CosmosClient) -> ContainerProxy:
    database = await client.create_database_if_not_exists("nexpo")
    unique: Any = {"uniqueKeys": [{"paths": ["/email"]}]}
    return await database.create_container_if_not_exists(
        "users", PartitionKey("/tenant"), unique_key_policy=unique
    )


@pytest.mark.verify
async def test_every_acknowledged_write_outlives_three_kills(tmp_path: Path) -> None:
    server = servers.cosmosdb(tmp_path)
    kept: set[str] = set()
    tried: set[str] = set()
    async with server:
        for life in range(3):
            async with CosmosClient(server.url, server.key, retry_total=0) as client:
                users = await _users(client)
                enough = asyncio.Event()
                writers = [
                    asyncio.create_task(_write(users, f"{life}-{n}", kept, tried, enough))
                    for n in range(6)
                ]
                await asyncio.wait_for(enough.wait(), 90)
                await server.kill()
                await asyncio.gather(*writers)
            await server.start()
            async with CosmosClient(server.url, server.key) as client:
                users = await _users(client)
                found = {item["id"] async for item in users.read_all_items()}
                assert kept <= found <= tried
                kept = found
    assert len(kept) >= 60


async def _write(
    users: ContainerProxy, name: str, kept: set[str], tried: set[str], enough: asyncio.Event
) -> None:
    number = 0
    while True:
        number += 1
        own = f"{name}-{number}"
        tried.add(own)
        try:
            await users.create_item({"id": own, "tenant": f"t{number % 3}", "email": own})
        except AzureError:
            return
        kept.add(own)
        if number >= 20:
            enough.set()


async def test_a_stop_and_a_second_start_keep_data_and_change_feed(tmp_path: Path) -> None:
    server = servers.cosmosdb(tmp_path)
    async with server, CosmosClient(server.url, server.key) as client:
        users = await _users(client)
        first = await users.create_item({"id": "a", "tenant": "t", "email": "a"})
    async with server, CosmosClient(server.url, server.key) as client:
        users = await _users(client)
        assert await users.read_item("a", "t") == first
        await users.create_item({"id": "b", "tenant": "t", "email": "b"})
        feed = users.query_items_change_feed(start_time="Beginning")
        assert [item["id"] async for item in feed] == ["a", "b"]


def test_it_ends_on_a_signal_and_says_why_it_cannot_start(tmp_path: Path) -> None:
    server = servers.cosmosdb(tmp_path / "server")
    command = [str(part) for part in server.command()]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert first.stderr is not None
        assert "stand-in on" in first.stderr.readline()
        second = subprocess.run(
            [*command[:-3], str(tmp_path / "other"), *command[-2:]],
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert second.returncode == 1
        assert "Cannot serve on port" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        first.send_signal(signal.SIGTERM)
    assert first.wait(90) == 0
    bad = subprocess.run([*command[:-1], "not base64!"], capture_output=True, text=True, timeout=90)
    assert bad.returncode == 1
    assert "base64" in bad.stderr
