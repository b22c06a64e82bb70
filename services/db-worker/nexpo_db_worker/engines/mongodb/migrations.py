"""The indexes that MongoDB needs: each migration once recorded, in order.

A migration is a JSON object: for each collection, its indexes as
`{"name", "fields", "unique", "only"}`, where `only` is "live" or "removed". Every one may run
twice, also at once from two workers: creating an index that is there does nothing. MongoDB has
no lock that spans such commands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pymongo
from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import ASCENDING, IndexModel

from nexpo_db_worker.engines.migrations import STEP_S, Migration, missing, running

Documents: TypeAlias = AsyncIOMotorDatabase[dict[str, Any]]

_ONLY = {"live": {"live": True}, "removed": {"live": False}}


async def migrate(database: Documents, migrations: Sequence[Migration]) -> list[str]:
    """Runs what the database has not recorded; returns the names.

    Raises:
        pymongo.errors.PyMongoError: The database refused one.
    """
    ledger = database["migrations"]
    applied = {entry["_id"] async for entry in ledger.find({}, {"_id": 1})}
    new = missing(migrations, applied)
    for step in new:
        with running(step), pymongo.timeout(STEP_S):
            for collection, indexes in json.loads(step.text).items():
                await database[collection].create_indexes([_index(one) for one in indexes])
        await ledger.update_one(
            {"_id": step.name}, {"$setOnInsert": {"applied_time": datetime.now(UTC)}}, upsert=True
        )
    return [step.name for step in new]


def _index(declared: Mapping[str, Any]) -> IndexModel:
    options: dict[str, Any] = {"name": declared["name"], "unique": declared.get("unique", False)}
    if "only" in declared:
        options["partialFilterExpression"] = _ONLY[declared["only"]]
    return IndexModel([(field, ASCENDING) for field in declared["fields"]], **options)
