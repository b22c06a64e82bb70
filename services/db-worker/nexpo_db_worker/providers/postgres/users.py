"""Users in PostgreSQL, each effect one statement."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import asyncpg

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store, User
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.providers.postgres.database import Database
from nexpo_db_worker.records import UserFields, json_profile
from nexpo_db_worker.stored import stored_user, whole
from nexpo_db_worker.stores import Position, StoredUser

_COLUMNS = (
    "user_id, email, display_name, state, profile, etag, create_time, update_time, stores,"
    " password_hash"
)
_READ = f"SELECT id, {_COLUMNS}, removed_time FROM nexpo_users"
_INSERT = f"""
    INSERT INTO nexpo_users (tenant, key, {_COLUMNS})
    VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, $12)
    ON CONFLICT (tenant, key) DO NOTHING
    RETURNING id
"""
_EMPTIED = """
    user_id = NULL, email = NULL, display_name = NULL, state = NULL, profile = NULL, etag = NULL,
    create_time = NULL, update_time = NULL, stores = NULL, password_hash = NULL,
    removed_time = now()
"""
_REMOVE = f"""
    INSERT INTO nexpo_users (tenant, key, removed_time) VALUES ($1, $2, now())
    ON CONFLICT (tenant, key) DO UPDATE SET {_EMPTIED} WHERE nexpo_users.removed_time IS NULL
"""
_REPLACE = """
    UPDATE nexpo_users
    SET email = $3, display_name = $4, state = $5, profile = $6::jsonb, etag = $7,
        create_time = $8, update_time = $9, stores = $10
    WHERE tenant = $1 AND user_id = $2 AND removed_time IS NULL AND etag = ANY($11::text[])
    RETURNING id
"""
_ERASE = f"""
    UPDATE nexpo_users SET {_EMPTIED}
    WHERE tenant = $1 AND user_id = $2 AND removed_time IS NULL
"""
_PAGE = f"""
    {_READ}
    WHERE tenant = $1 AND removed_time IS NULL AND (create_time, user_id) > ($2, $3)
    ORDER BY create_time, user_id LIMIT $4
"""
_FIRST_PAGE = f"""
    {_READ} WHERE tenant = $1 AND removed_time IS NULL ORDER BY create_time, user_id LIMIT $2
"""
_CLAIM = """
    INSERT INTO nexpo_claims (tenant, key, resource) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING id
"""
_RELEASE = """
    INSERT INTO nexpo_claims (tenant, key, removed_time) VALUES ($1, $2, now())
    ON CONFLICT (tenant, key) DO UPDATE SET resource = NULL, removed_time = now()
    WHERE nexpo_claims.removed_time IS NULL
"""
_FORGET = """
    UPDATE nexpo_claims SET resource = NULL, removed_time = now()
    WHERE tenant = $1 AND resource = $2 AND removed_time IS NULL
"""
# Short transactions: a purge never holds many rows, nor waits for one.
_PURGE = """
    WITH old AS (
        SELECT id FROM {0} WHERE removed_time < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM {0} USING old WHERE {0}.id = old.id RETURNING 1
    )
    SELECT count(*) FROM gone
"""


class PostgresUsers:
    """The UserStore of PostgreSQL."""

    store = Store.STORE_POSTGRES

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: str, key: str, record: UserRecord) -> StoredUser:
        """See UserStore."""
        values = _values(record)
        while True:
            async with self._database.connection() as connection:
                try:
                    new_id = await connection.fetchval(_INSERT, tenant, key, *values)
                    taken = False
                except asyncpg.UniqueViolationError as error:
                    new_id = None
                    taken = error.constraint_name == "nexpo_users_email"
                    if not taken:
                        raise
                if new_id is not None:
                    return StoredUser(str(new_id), record)
                row = await connection.fetchrow(
                    f"{_READ} WHERE tenant = $1 AND key = $2", tenant, key
                )
            if row is not None:
                return self._first(row)
            if taken:
                raise self._fault(Reason.REASON_EMAIL_TAKEN)
            # The key's tombstone was purged between the two statements: once more.

    async def remove(self, tenant: str, key: str) -> None:
        """See UserStore."""
        await self._execute(_REMOVE, tenant, key)

    async def get(self, tenant: str, user_id: str) -> StoredUser:
        """See UserStore."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                f"{_READ} WHERE tenant = $1 AND user_id = $2 AND removed_time IS NULL",
                tenant,
                user_id,
            )
        if row is None:
            raise self._fault(Reason.REASON_USER_NOT_FOUND)
        return whole(self.store, _stored(row))

    async def page(self, tenant: str, after: Position | None, limit: int) -> list[StoredUser]:
        """See UserStore."""
        async with self._database.connection() as connection:
            if after is None:
                rows = await connection.fetch(_FIRST_PAGE, tenant, limit)
            else:
                rows = await connection.fetch(
                    _PAGE, tenant, after.create_time, after.user_id, limit
                )
        return [_stored(row) for row in rows]

    async def replace(self, tenant: str, user: User, expected_etags: Collection[str]) -> None:
        """See UserStore."""
        user_id, *values = _values(UserRecord(user=user))[:-1]
        async with self._database.connection() as connection:
            try:
                written = await connection.fetchval(
                    _REPLACE, tenant, user_id, *values, list(expected_etags)
                )
            except asyncpg.UniqueViolationError:
                raise self._fault(Reason.REASON_EMAIL_TAKEN) from None
            if written is not None:
                return
            etag = await connection.fetchval(
                "SELECT etag FROM nexpo_users"
                " WHERE tenant = $1 AND user_id = $2 AND removed_time IS NULL",
                tenant,
                user_id,
            )
        if etag is None:
            raise self._fault(Reason.REASON_USER_NOT_FOUND)
        if etag != user.etag:
            raise self._fault(Reason.REASON_ETAG_MISMATCH)

    async def erase(self, tenant: str, user_id: str) -> None:
        """See UserStore."""
        await self._execute(_ERASE, tenant, user_id)

    async def claim(self, tenant: str, key: str, resource: str) -> bool:
        """See UserStore."""
        async with self._database.connection() as connection:
            if await connection.fetchval(_CLAIM, tenant, key, resource) is not None:
                return True
            row = await connection.fetchrow(
                "SELECT resource FROM nexpo_claims WHERE tenant = $1 AND key = $2", tenant, key
            )
        if row is None:
            return False
        if row["resource"] is None:
            raise self._fault(Reason.REASON_FENCED)
        return bool(row["resource"] == resource)

    async def release(self, tenant: str, key: str) -> None:
        """See UserStore."""
        await self._execute(_RELEASE, tenant, key)

    async def forget(self, tenant: str, resource: str) -> None:
        """See UserStore."""
        await self._execute(_FORGET, tenant, resource)

    async def purge(self, before: datetime) -> int:
        """See UserStore; at most 1,000 of each kind a call."""
        async with self._database.connection() as connection:
            users = await connection.fetchval(_PURGE.format("nexpo_users"), before)
            claims = await connection.fetchval(_PURGE.format("nexpo_claims"), before)
        return int(users) + int(claims)

    async def ping(self) -> None:
        """See UserStore."""
        await self._execute("SELECT 1")

    async def _execute(self, statement: str, *values: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(statement, *values)

    def _first(self, row: Mapping[str, Any]) -> StoredUser:
        if row["removed_time"] is not None:
            raise self._fault(Reason.REASON_FENCED)
        return _stored(row)

    def _fault(self, reason: Reason.ValueType) -> Exception:
        return store_fault(self.store, reason)


def _values(record: UserRecord) -> list[object]:
    fields = UserFields.of(record.user)
    return [
        fields.user_id,
        fields.email,
        fields.display_name,
        fields.state,
        None if fields.profile is None else json.dumps(fields.profile, ensure_ascii=False),
        fields.etag,
        fields.create_time,
        fields.update_time,
        fields.stores,
        record.password_hash,
    ]


def _stored(row: Mapping[str, Any]) -> StoredUser:
    return stored_user(
        Store.STORE_POSTGRES, row, moment=lambda moment: moment, profile=json_profile
    )
