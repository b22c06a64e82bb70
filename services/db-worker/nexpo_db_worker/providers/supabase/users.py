"""Users in Supabase, each effect one request, which PostgREST makes one statement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from postgrest.types import ReturnMethod

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store, User
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.providers.supabase.project import ApiRefusal, Project
from nexpo_db_worker.records import NAMES, UserFields
from nexpo_db_worker.stored import stored_user, whole
from nexpo_db_worker.stores import Position, StoredUser
from nexpo_runtime.errors import Fault

_USERS = "nexpo_users"
_CLAIMS = "nexpo_claims"
_PURGE_BATCH = 200  # their ids travel in a URL
_EMPTIED: dict[str, None] = dict.fromkeys((*NAMES, "password_hash"))
# PostgreSQL reads this as the time of the statement.
_NOW = "now"

Row = dict[str, Any]


class SupabaseUsers:
    """The UserStore of Supabase."""

    store = Store.STORE_SUPABASE

    def __init__(self, project: Project) -> None:
        self._project = project

    async def create(self, tenant: str, key: str, record: UserRecord) -> StoredUser:
        """See UserStore."""
        row = {"tenant": tenant, "key": key, **_row(record)}
        while True:
            try:
                rows = await self._insert(_USERS, row)
                return StoredUser(str(rows[0]["id"]), record)
            except ApiRefusal as refusal:
                constraint = refusal.constraint
            first = await self._first(_USERS, tenant, key=key)
            if first is not None:
                if first["removed_time"] is not None:
                    raise self._fault(Reason.REASON_FENCED)
                return _stored(first)
            if constraint == "nexpo_users_email":
                raise self._fault(Reason.REASON_EMAIL_TAKEN)
            if constraint != "nexpo_users_key":
                raise self._fault(Reason.REASON_STORE_REFUSED)
            # The key's tombstone was purged in between: once more.

    async def remove(self, tenant: str, key: str) -> None:
        """See UserStore."""
        await self._bury(_USERS, tenant, key, _EMPTIED)

    async def get(self, tenant: str, user_id: str) -> StoredUser:
        """See UserStore."""
        row = await self._first(_USERS, tenant, live=True, user_id=user_id)
        if row is None:
            raise self._fault(Reason.REASON_USER_NOT_FOUND)
        return whole(self.store, _stored(row))

    async def page(self, tenant: str, after: Position | None, limit: int) -> list[StoredUser]:
        """See UserStore; a project may cut a page at 1,000 rows (its "max rows")."""
        async with self._project.client() as client:
            query = client.table(_USERS).select("*").eq("tenant", tenant).is_("removed_time", None)
            if after is not None:
                born, user_id = _quoted(after.create_time.isoformat()), _quoted(after.user_id)
                query = query.or_(
                    f"create_time.gt.{born},and(create_time.eq.{born},user_id.gt.{user_id})"
                )
            answer = await query.order("create_time").order("user_id").limit(limit).execute()
        return [_stored(row) for row in _rows(answer.data)]

    async def replace(self, tenant: str, user: User, expected_etags: Collection[str]) -> None:
        """See UserStore."""
        row = _row(UserRecord(user=user))
        del row["password_hash"]
        etags = ",".join(_quoted(etag) for etag in expected_etags)
        try:
            async with self._project.client() as client:
                answer = await (
                    client.table(_USERS)
                    .update(row)
                    .eq("tenant", tenant)
                    .eq("user_id", user.user_id)
                    .is_("removed_time", None)
                    .filter("etag", "in", f"({etags})")
                    .select("id")
                    .execute()
                )
        except ApiRefusal:
            raise self._fault(Reason.REASON_EMAIL_TAKEN) from None
        if answer.data:
            return
        found = await self._first(_USERS, tenant, live=True, user_id=user.user_id)
        if found is None:
            raise self._fault(Reason.REASON_USER_NOT_FOUND)
        if found["etag"] != user.etag:
            raise self._fault(Reason.REASON_ETAG_MISMATCH)

    async def erase(self, tenant: str, user_id: str) -> None:
        """See UserStore."""
        await self._bury_live(_USERS, tenant, "user_id", user_id, _EMPTIED)

    async def claim(self, tenant: str, key: str, resource: str) -> bool:
        """See UserStore."""
        try:
            await self._insert(_CLAIMS, {"tenant": tenant, "key": key, "resource": resource})
            return True
        except ApiRefusal:
            first = await self._first(_CLAIMS, tenant, key=key)
        if first is None:
            return False
        if first["removed_time"] is not None:
            raise self._fault(Reason.REASON_FENCED)
        return bool(first["resource"] == resource)

    async def release(self, tenant: str, key: str) -> None:
        """See UserStore."""
        await self._bury(_CLAIMS, tenant, key, {"resource": None})

    async def forget(self, tenant: str, resource: str) -> None:
        """See UserStore."""
        await self._bury_live(_CLAIMS, tenant, "resource", resource, {"resource": None})

    async def purge(self, before: datetime) -> int:
        """See UserStore; at most 200 of each kind a call."""
        purged = 0
        for table in (_USERS, _CLAIMS):
            async with self._project.client() as client:
                old = client.table(table).select("id").lt("removed_time", before.isoformat())
                found = _rows((await old.limit(_PURGE_BATCH).execute()).data)
                if found:
                    gone = await (
                        client.table(table)
                        .delete()
                        .in_("id", [row["id"] for row in found])
                        .lt("removed_time", before.isoformat())
                        .select("id")
                        .execute()
                    )
                    purged += len(_rows(gone.data))
        return purged

    async def ping(self) -> None:
        """See UserStore."""
        async with self._project.client() as client:
            await client.table(_USERS).select("id").limit(1).execute()

    async def _insert(self, table: str, row: Row) -> list[Row]:
        async with self._project.client() as client:
            return _rows((await client.table(table).insert(row).select("id").execute()).data)

    async def _first(
        self, table: str, tenant: str, *, live: bool = False, **columns: str
    ) -> Row | None:
        async with self._project.client() as client:
            query = client.table(table).select("*").eq("tenant", tenant)
            for column, value in columns.items():
                query = query.eq(column, value)
            if live:
                query = query.is_("removed_time", None)
            rows = _rows((await query.limit(1).execute()).data)
        return rows[0] if rows else None

    async def _bury(self, table: str, tenant: str, key: str, emptied: Mapping[str, None]) -> None:
        """Puts a tombstone in the place of what the key wrote, or will."""
        tombstone = {"tenant": tenant, "key": key, **emptied, "removed_time": _NOW}
        async with self._project.client() as client:
            await (
                client.table(table)
                .upsert(tombstone, on_conflict="tenant,key", returning=ReturnMethod.minimal)
                .execute()
            )

    async def _bury_live(
        self, table: str, tenant: str, column: str, value: str, emptied: Mapping[str, None]
    ) -> None:
        async with self._project.client() as client:
            await (
                client.table(table)
                .update({**emptied, "removed_time": _NOW}, returning=ReturnMethod.minimal)
                .eq("tenant", tenant)
                .eq(column, value)
                .is_("removed_time", None)
                .execute()
            )

    def _fault(self, reason: Reason.ValueType) -> Fault:
        return store_fault(self.store, reason)


def _quoted(value: str) -> str:
    """A value inside PostgREST's lists and conditions, where commas and dots count."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _rows(data: object) -> list[Row]:
    return [dict(row) for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def _row(record: UserRecord) -> Row:
    fields = UserFields.of(record.user)
    return {
        "user_id": fields.user_id,
        "email": fields.email,
        "display_name": fields.display_name,
        "state": fields.state,
        "profile": fields.profile,
        "etag": fields.etag,
        "create_time": fields.create_time.isoformat(),
        "update_time": fields.update_time.isoformat(),
        "stores": fields.stores,
        "password_hash": record.password_hash,
    }


def _stored(row: Row) -> StoredUser:
    return stored_user(Store.STORE_SUPABASE, row, moment=datetime.fromisoformat)
