"""Where the tests of Cosmos DB keep their data, and how they make the stand-in fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from nexpo_db_worker.engines.engine import DatabaseEntry


@dataclass(frozen=True)
class Place:
    """An account and a database of it."""

    url: str
    key: str
    database: str

    @property
    def entry(self) -> DatabaseEntry:
        """It, as the service opens it."""
        options = {"url": self.url, "key": self.key, "database": self.database}
        return DatabaseEntry("cosmosdb", "cosmosdb", options)


class Fault:
    """A fault that is set."""

    def __init__(self, client: httpx.AsyncClient, number: int) -> None:
        self._client = client
        self._number = number

    async def struck(self) -> int:
        """How many requests have met it."""
        faults = (await self._client.get("/_fault")).raise_for_status().json()
        return int(next(one["struck"] for one in faults if one["id"] == self._number))

    async def has_struck(self) -> None:
        """Waits until a request has met it, at most 5 seconds."""
        for _ in range(250):
            if await self.struck():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("No request has met the fault.")

    async def remove(self) -> None:
        """Ends it, and lets go of what it holds."""
        answer = await self._client.delete(f"/_fault/{self._number}")
        assert answer.status_code in (200, 404)


@asynccontextmanager
async def fault(place: Place, **fields: Any) -> AsyncIterator[Fault]:
    """A fault of nexpo_standins.cosmosdb.faults, while the block runs."""
    headers = {"authorization": f"Bearer {place.key}"}
    async with httpx.AsyncClient(base_url=place.url, headers=headers) as client:
        answer = (await client.post("/_fault", json=fields)).raise_for_status().json()
        one = Fault(client, answer["id"])
        try:
            yield one
        finally:
            await one.remove()
