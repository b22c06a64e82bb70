"""Every engine tells the version of its server, where the server tells one."""

from __future__ import annotations

from nexpo_db_worker.databases.opened import Database


async def test_a_database_tells_its_version(database: Database) -> None:
    version = await database.version()

    # Cosmos DB is a service: it has none to tell.
    assert version == "" if database.kind == "cosmosdb" else version[0].isdigit()
