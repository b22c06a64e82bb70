"""The indexes that MongoDB needs, by named steps that are recorded when done.

Every step may run twice, also at once from two workers: creating an index that
is there does nothing. MongoDB has no lock that spans such commands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import ASCENDING, IndexModel

Documents: TypeAlias = AsyncIOMotorDatabase[dict[str, Any]]

_LIVE = {"live": True}
_GONE = {"live": False}


async def _users(database: Documents) -> None:
    await database["users"].create_indexes(
        [
            _index("users_key", "tenant", "key", unique=True),
            _index("users_email", "tenant", "email", unique=True, only=_LIVE),
            _index("users_user_id", "tenant", "user_id", unique=True, only=_LIVE),
            _index("users_page", "tenant", "create_time_us", "user_id", only=_LIVE),
            _index("users_removed", "removed_time", only=_GONE),
        ]
    )
    await database["claims"].create_indexes(
        [
            _index("claims_key", "tenant", "key", unique=True),
            _index("claims_resource", "tenant", "resource", unique=True, only=_LIVE),
            _index("claims_removed", "removed_time", only=_GONE),
        ]
    )


STEPS: Mapping[str, Callable[[Documents], Awaitable[None]]] = {"0001_users": _users}


async def migrate(database: Documents) -> list[str]:
    """Runs the steps that the database has not recorded; returns their names.

    Raises:
        pymongo.errors.PyMongoError: The database refused one.
    """
    ledger = database["migrations"]
    seen = {entry["_id"] async for entry in ledger.find({}, {"_id": 1})}
    new = [name for name in STEPS if name not in seen]
    for name in new:
        await STEPS[name](database)
        await ledger.update_one(
            {"_id": name}, {"$setOnInsert": {"applied_time": datetime.now(UTC)}}, upsert=True
        )
    return new


def _index(
    name: str, *fields: str, unique: bool = False, only: Mapping[str, bool] | None = None
) -> IndexModel:
    options: dict[str, Any] = {"name": name, "unique": unique}
    if only is not None:
        options["partialFilterExpression"] = only
    return IndexModel([(field, ASCENDING) for field in fields], **options)
