"""Writes into a user's record past the service, as other programs and old versions do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
from azure.cosmos.aio import CosmosClient
from motor.motor_asyncio import AsyncIOMotorClient

from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker.providers.sqlserver.connection import Connection
from nexpo_db_worker.providers.sqlserver.target import Target
from nexpo_db_worker.settings import DbSettings


class Planting:
    """Overwrites one column of one user in one store."""

    def __init__(self, settings: DbSettings) -> None:
        self._settings = settings

    async def plant(self, store: Store.ValueType, user_id: str, column: str, value: Any) -> None:
        """Writes the value; a profile as the store keeps JSON."""
        match store:
            case Store.STORE_POSTGRES:
                await self._in_postgresql("database_url", user_id, column, value)
            case Store.STORE_SUPABASE:
                await self._in_postgresql("supabase_database_url", user_id, column, value)
            case Store.STORE_SQLSERVER:
                await asyncio.to_thread(self._in_sqlserver, user_id, column, value)
            case Store.STORE_MONGODB:
                await self._in_mongodb(user_id, column, value)
            case _:
                await self._in_cosmosdb(user_id, column, value)

    async def _in_postgresql(self, url: str, user_id: str, column: str, value: Any) -> None:
        connection = await asyncpg.connect(self._settings.secret(url))
        try:
            cast = "::jsonb" if column == "profile" else ""
            await connection.execute(
                f"UPDATE nexpo_users SET {column} = $2{cast} WHERE user_id = $1",
                user_id,
                json.dumps(value) if column == "profile" else value,
            )
        finally:
            await connection.close()

    def _in_sqlserver(self, user_id: str, column: str, value: Any) -> None:
        connection = Connection(Target.parse(self._settings.secret("sqlserver_url")))
        try:
            connection.execute(
                f"UPDATE dbo.nexpo_users SET {column} = %(value)s WHERE user_id = %(user_id)s",
                user_id=user_id,
                value=json.dumps(value) if column == "profile" else value,
            )
        finally:
            connection.close()

    async def _in_mongodb(self, user_id: str, column: str, value: Any) -> None:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            self._settings.secret("mongodb_url")
        )
        try:
            name = f"{column}_us" if column.endswith("_time") else column
            users = client.get_default_database()["users"]
            await users.update_one({"user_id": user_id}, {"$set": {name: value}})
        finally:
            client.close()

    async def _in_cosmosdb(self, user_id: str, column: str, value: Any) -> None:
        url, key = (self._settings.secret(f"cosmosdb_{name}") for name in ("url", "key"))
        async with CosmosClient(url, key) as client:
            users = client.get_database_client("nexpo").get_container_client("users")
            found = users.query_items(
                "SELECT * FROM c WHERE c.user_id = @id",
                parameters=[{"name": "@id", "value": user_id}],
            )
            async for item in found:
                await users.replace_item(item["id"], {**item, column: value})
