"""Users in MongoDB, each effect one write of one document."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Int64
from pymongo.errors import DuplicateKeyError

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store, User
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.providers.mongodb.database import Database
from nexpo_db_worker.records import UserFields
from nexpo_db_worker.stored import stored_user, whole
from nexpo_db_worker.stores import Position, StoredUser
from nexpo_runtime.errors import Fault

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PURGE_BATCH = 1000

Document = dict[str, Any]


class MongoUsers:
    """The UserStore of MongoDB.

    A live document has `live: true`, which the partial unique indexes ask for; a
    tombstone has nothing but tenant, key and removed_time. BSON dates end at the
    millisecond, so times are kept as microseconds since 1970.
    """

    store = Store.STORE_MONGODB

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: str, key: str, record: UserRecord) -> StoredUser:
        """See UserStore."""
        document = {"tenant": tenant, "key": key, "live": True, **_document(record)}
        while True:
            async with self._database.documents() as database:
                try:
                    result = await database["users"].insert_one(dict(document))
                    return StoredUser(str(result.inserted_id), record)
                except DuplicateKeyError as error:
                    taken = "email" in ((error.details or {}).get("keyPattern") or {})
                first = await _confirmed(database["users"], tenant, key)
            if first is not None:
                if not first["live"]:
                    raise self._fault(Reason.REASON_FENCED)
                return _stored(first)
            if taken:
                raise self._fault(Reason.REASON_EMAIL_TAKEN)
            # The key's tombstone was purged in between: once more.

    async def remove(self, tenant: str, key: str) -> None:
        """See UserStore."""
        await self._bury("users", tenant, key)

    async def get(self, tenant: str, user_id: str) -> StoredUser:
        """See UserStore."""
        async with self._database.documents() as database:
            found = await database["users"].find_one(_live(tenant, user_id=user_id))
        if found is None:
            raise self._fault(Reason.REASON_USER_NOT_FOUND)
        return whole(self.store, _stored(found))

    async def page(self, tenant: str, after: Position | None, limit: int) -> list[StoredUser]:
        """See UserStore."""
        query = _live(tenant)
        if after is not None:
            born = _microseconds(after.create_time)
            query["$or"] = [
                {"create_time_us": {"$gt": born}},
                {"create_time_us": born, "user_id": {"$gt": after.user_id}},
                # What others wrote there: comparisons pass over it, the order has it last.
                {"create_time_us": {"$type": ["string", "object", "array", "bool", "date"]}},
            ]
        async with self._database.documents() as database:
            cursor = database["users"].find(query).sort({"create_time_us": 1, "user_id": 1})
            return [_stored(found) for found in await cursor.limit(limit).to_list(limit)]

    async def replace(self, tenant: str, user: User, expected_etags: Collection[str]) -> None:
        """See UserStore."""
        changes = _document(UserRecord(user=user))
        del changes["password_hash"]
        query = _live(tenant, user_id=user.user_id)
        while True:
            async with self._database.documents() as database:
                users = database["users"]
                found = await users.find_one(query, {"etag": 1})
                if found is None:
                    raise self._fault(Reason.REASON_USER_NOT_FOUND)
                if found["etag"] not in (user.etag, *expected_etags):
                    raise self._fault(Reason.REASON_ETAG_MISMATCH)
                # What this replacement wrote before is written once more: that waits until it is
                # safe. By _id, which every planner finds whatever else is asked for.
                same = {"_id": found["_id"], "live": True, "etag": found["etag"]}
                try:
                    written = await users.update_one(same, {"$set": changes})
                except DuplicateKeyError:
                    raise self._fault(Reason.REASON_EMAIL_TAKEN) from None
            if written.matched_count:
                return
            # Somebody changed it between the look and the write: look again.

    async def erase(self, tenant: str, user_id: str) -> None:
        """See UserStore."""
        async with self._database.documents() as database:
            found = await database["users"].find_one(_live(tenant, user_id=user_id), {"key": 1})
        if found is not None:
            await self._bury("users", tenant, found["key"])

    async def claim(self, tenant: str, key: str, resource: str) -> bool:
        """See UserStore."""
        claim = {"tenant": tenant, "key": key, "live": True, "resource": resource}
        async with self._database.documents() as database:
            try:
                await database["claims"].insert_one(claim)
                return True
            except DuplicateKeyError:
                first = await _confirmed(database["claims"], tenant, key)
        if first is None:
            return False
        if not first["live"]:
            raise self._fault(Reason.REASON_FENCED)
        return bool(first["resource"] == resource)

    async def release(self, tenant: str, key: str) -> None:
        """See UserStore."""
        await self._bury("claims", tenant, key)

    async def forget(self, tenant: str, resource: str) -> None:
        """See UserStore."""
        async with self._database.documents() as database:
            found = await database["claims"].find_one(_live(tenant, resource=resource), {"key": 1})
        if found is not None:
            await self._bury("claims", tenant, found["key"])

    async def purge(self, before: datetime) -> int:
        """See UserStore; at most 1,000 of each kind a call."""
        purged = 0
        old = {"live": False, "removed_time": {"$lt": before}}
        async with self._database.documents() as database:
            for name in ("users", "claims"):
                cursor = database[name].find(old, {"_id": 1}).limit(_PURGE_BATCH)
                batch = [found["_id"] for found in await cursor.to_list(_PURGE_BATCH)]
                result = await database[name].delete_many({"_id": {"$in": batch}, **old})
                purged += result.deleted_count
        return purged

    async def ping(self) -> None:
        """See UserStore."""
        async with self._database.documents() as database:
            await database.command("ping")

    async def _bury(self, collection: str, tenant: str, key: str) -> None:
        """Puts a tombstone in the place of what the key wrote, or will."""
        tombstone = {
            "tenant": tenant,
            "key": key,
            "live": False,
            "removed_time": datetime.now(UTC),
        }
        while True:
            async with self._database.documents() as database:
                try:
                    await database[collection].replace_one(
                        {"tenant": tenant, "key": key}, dict(tombstone), upsert=True
                    )
                    return
                except DuplicateKeyError:
                    pass  # a creation landed between the upsert's look and its insert

    def _fault(self, reason: Reason.ValueType) -> Fault:
        return store_fault(self.store, reason)


async def _confirmed(collection: Any, tenant: str, key: str) -> Document | None:
    """What the key wrote. The write that changes nothing waits until that is safe."""
    found: Document | None = await collection.find_one_and_update(
        {"tenant": tenant, "key": key}, {"$set": {"tenant": tenant}}
    )
    return found


def _live(tenant: str, **fields: str) -> Document:
    return {"tenant": tenant, "live": True, **fields}


def _microseconds(moment: datetime) -> Int64:
    return Int64((moment - _EPOCH) // _MICROSECOND)


def _document(record: UserRecord) -> Document:
    fields = UserFields.of(record.user)
    return {
        "user_id": fields.user_id,
        "email": fields.email,
        "display_name": fields.display_name,
        "state": fields.state,
        "profile": fields.profile,
        "etag": fields.etag,
        "create_time_us": _microseconds(fields.create_time),
        "update_time_us": _microseconds(fields.update_time),
        "stores": fields.stores,
        "password_hash": record.password_hash,
    }


def _stored(found: Mapping[str, Any]) -> StoredUser:
    row = {
        **found,
        "id": found["_id"],
        "create_time": found.get("create_time_us"),
        "update_time": found.get("update_time_us"),
    }
    return stored_user(
        Store.STORE_MONGODB, row, moment=lambda micros: _EPOCH + micros * _MICROSECOND
    )
