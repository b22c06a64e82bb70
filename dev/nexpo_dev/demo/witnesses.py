"""What each store has of a person, read by that store's own client, past all of Nexpo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import asyncpg
import pytds
from aiobotocore.session import get_session
from azure.cosmos.aio import CosmosClient
from motor.motor_asyncio import AsyncIOMotorClient
from supabase import acreate_client

from nexpo_dev.environment import Servers


@dataclass(frozen=True)
class Testimony:
    """What one store has of a person.

    Attributes:
        store: Its name.
        ids: Its own ids of the live records; one when all is well.
        state: State of the account in them.
        tombstones: How many fences it keeps.
    """

    store: str
    ids: tuple[str, ...]
    state: str
    tombstones: int

    def as_dict(self) -> dict[str, object]:
        """For the report."""
        return asdict(self)


class Witnesses:
    """The clients of every store.

    Args:
        servers: The embedded stack's.
        tenant: Whose records to look for.
    """

    def __init__(self, servers: Servers, tenant: str) -> None:
        self._servers = servers
        self._tenant = tenant

    async def homes(self) -> frozenset[str]:
        """Every live home: markers with content, because one without is a tombstone."""
        at = self._servers.object_storage
        async with get_session().create_client(
            "s3",
            endpoint_url=at.url,
            region_name=at.region,
            aws_access_key_id=at.access_key_id,
            aws_secret_access_key=at.secret_access_key,
        ) as client:
            listed = await client.list_objects_v2(Bucket=at.bucket, Prefix=f"homes/{self._tenant}/")
        return frozenset(entry["Key"] for entry in listed.get("Contents", []) if entry["Size"])

    async def of(self, email: str, known_homes: frozenset[str]) -> list[Testimony]:
        """What every store has of a person; a home that is not known yet is the person's."""
        reads: list[Callable[[str], Awaitable[Testimony]]] = [
            self._postgres,
            self._mongodb,
            self._cosmosdb,
            self._sqlserver,
            self._supabase,
        ]
        stores = await asyncio.gather(*(read(email) for read in reads))
        homes: list[tuple[object, object]] = [
            (key, "home") for key in sorted(await self.homes() - known_homes)
        ]
        return [*stores, _testimony("object storage", homes, 0)]

    async def _postgres(self, email: str) -> Testimony:
        connection = await asyncpg.connect(self._servers.postgres.url)
        try:
            rows = await connection.fetch(
                "SELECT id, state FROM nexpo_users WHERE tenant = $1 AND email = $2",
                *(self._tenant, email),
            )
            dead = await connection.fetchval(
                "SELECT count(*) FROM nexpo_users WHERE tenant = $1 AND removed_time IS NOT NULL",
                self._tenant,
            )
        finally:
            await connection.close()
        return _testimony("postgres", [(row["id"], row["state"]) for row in rows], dead)

    async def _mongodb(self, email: str) -> Testimony:
        client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(
            self._servers.mongodb.url
        )
        try:
            users = client.get_default_database("nexpo")["users"]
            query = {"tenant": self._tenant, "email": email, "live": True}
            rows = [(row["_id"], row["state"]) async for row in users.find(query)]
            dead = await users.count_documents({"tenant": self._tenant, "live": False})
        finally:
            client.close()
        return _testimony("mongodb", rows, dead)

    async def _cosmosdb(self, email: str) -> Testimony:
        at = self._servers.cosmosdb
        async with CosmosClient(at.url, at.key) as client:
            users = client.get_database_client("nexpo").get_container_client("users")
            rows = [
                (row["id"], row["state"])
                async for row in users.query_items(
                    "SELECT c.id, c.state FROM c WHERE c.email = @email",
                    parameters=[{"name": "@email", "value": email}],
                    partition_key=self._tenant,
                )
            ]
            dead = [
                row
                async for row in users.query_items(
                    "SELECT c.id FROM c WHERE IS_DEFINED(c.removed_time)",
                    partition_key=self._tenant,
                )
            ]
        return _testimony("cosmosdb", rows, len(dead))

    async def _sqlserver(self, email: str) -> Testimony:
        return await asyncio.to_thread(self._sqlserver_now, email)

    def _sqlserver_now(self, email: str) -> Testimony:
        url = urlsplit(self._servers.sqlserver.url)
        with (
            pytds.connect(
                dsn=url.hostname,
                port=url.port,
                database=url.path.strip("/"),
                user=url.username,
                password=url.password,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT id, state FROM dbo.nexpo_users WHERE tenant = %s AND email = %s",
                (self._tenant, email),
            )
            rows = [(row[0], row[1]) for row in cursor.fetchall()]
            cursor.execute(
                "SELECT COUNT(*) FROM dbo.nexpo_users WHERE tenant = %s AND tombstone = 1",
                (self._tenant,),
            )
            dead = int(cursor.fetchall()[0][0])
        return _testimony("sqlserver", rows, dead)

    async def _supabase(self, email: str) -> Testimony:
        client = await acreate_client(self._servers.supabase.url, self._servers.supabase.key)
        users = client.table("nexpo_users")
        found = (
            await users.select("id,state").eq("tenant", self._tenant).eq("email", email).execute()
        )
        dead = (
            await users.select("id")
            .eq("tenant", self._tenant)
            .not_.is_("removed_time", "null")
            .execute()
        )
        rows: list[tuple[object, object]] = [
            (row["id"], row["state"]) for row in found.data if isinstance(row, dict)
        ]
        return _testimony("supabase", rows, len(dead.data))


def _testimony(store: str, rows: list[tuple[object, object]], tombstones: int) -> Testimony:
    states = sorted({str(state) for _, state in rows})
    return Testimony(store, tuple(str(id) for id, _ in rows), ", ".join(states), tombstones)
