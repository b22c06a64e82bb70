"""Users in SQL Server, each effect one statement of T-SQL.

The statements are T-SQL for SQL Server 2019 and later and for Azure SQL.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime

import pytds

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store, User
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.providers.sqlserver.connection import Connection, Row
from nexpo_db_worker.providers.sqlserver.errors import is_duplicate, names
from nexpo_db_worker.providers.sqlserver.pool import Pool
from nexpo_db_worker.providers.sqlserver.target import Target
from nexpo_db_worker.records import NAMES, UserFields, json_profile
from nexpo_db_worker.stored import stored_user, whole
from nexpo_db_worker.stores import Position, StoredUser
from nexpo_runtime.errors import Fault

_WRITTEN = (*NAMES, "password_hash")
_COLUMNS = ", ".join(_WRITTEN)
_KEY = "tenant = %(tenant)s AND effect_key = %(key)s"
_USER = "tenant = %(tenant)s AND user_id = %(user_id)s AND tombstone = 0"
_DEAD = "tombstone = 1, tombstone_time = SYSUTCDATETIME()"
_DEAD_USER = ", ".join([_DEAD, *(f"{name} = NULL" for name in _WRITTEN)])
_DEAD_CLAIM = f"{_DEAD}, resource = NULL"

_CREATE = f"""
    INSERT INTO dbo.nexpo_users (tenant, effect_key, {_COLUMNS})
    VALUES (%(tenant)s, %(key)s, {", ".join(f"%({name})s" for name in _WRITTEN)});
    SELECT CAST(SCOPE_IDENTITY() AS BIGINT);
"""
_READ_KEY = f"SELECT tombstone, id, {_COLUMNS} FROM dbo.nexpo_users WHERE {_KEY}"
_READ_USER = f"SELECT id, {_COLUMNS} FROM dbo.nexpo_users WHERE {_USER}"
_READ_ETAG = f"SELECT etag FROM dbo.nexpo_users WHERE {_USER}"
_PAGE = """
    SELECT TOP (%(limit)s) id, {columns} FROM dbo.nexpo_users
    WHERE tenant = %(tenant)s AND tombstone = 0 {behind}
    ORDER BY create_time, user_id
"""
_BEHIND = """
    AND (create_time > %(create_time)s OR (create_time = %(create_time)s AND user_id > %(user_id)s))
"""
_REPLACE = """
    UPDATE dbo.nexpo_users SET {changes} WHERE {user} AND etag IN ({expected})
"""
_ERASE = f"UPDATE dbo.nexpo_users SET {_DEAD_USER} WHERE {_USER}"
_CLAIM = """
    INSERT INTO dbo.nexpo_claims (tenant, effect_key, resource)
    VALUES (%(tenant)s, %(key)s, %(resource)s)
"""
_READ_CLAIM = f"SELECT tombstone, resource FROM dbo.nexpo_claims WHERE {_KEY}"
_FORGET = f"""
    UPDATE dbo.nexpo_claims SET {_DEAD_CLAIM}
    WHERE tenant = %(tenant)s AND resource = %(resource)s AND tombstone = 0
"""
_BURY = f"UPDATE {{table}} SET {{dead}} WHERE {_KEY} AND tombstone = 0"
_BURY_NOTHING = """
    INSERT INTO {table} (tenant, effect_key, tombstone, tombstone_time)
    VALUES (%(tenant)s, %(key)s, 1, SYSUTCDATETIME())
"""
# Short transactions: a purge never holds many rows.
_PURGE = """
    DELETE FROM {table} WHERE id IN (
        SELECT TOP (1000) id FROM {table}
        WHERE tombstone = 1 AND tombstone_time < %(before)s ORDER BY tombstone_time
    )
"""


class SqlServerUserStore:
    """The UserStore of SQL Server."""

    store = Store.STORE_SQLSERVER

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, tenant: str, key: str, record: UserRecord) -> StoredUser:
        """See UserStore."""
        values = {**_values(record.user), "password_hash": record.password_hash}

        def work(connection: Connection) -> StoredUser:
            while True:
                try:
                    _, rows = connection.execute(_CREATE, tenant=tenant, key=key, **values)
                    return StoredUser(str(rows[0][0]), record)
                except pytds.DatabaseError as error:
                    if not is_duplicate(error):
                        raise
                    duplicate = error
                _, rows = connection.execute(_READ_KEY, tenant=tenant, key=key)
                if rows:
                    tombstone, *columns = rows[0]
                    if tombstone:
                        raise _fault(Reason.REASON_FENCED)
                    return _stored(columns)
                if names(duplicate, "nexpo_users_email"):
                    raise _fault(Reason.REASON_EMAIL_TAKEN)
                if not names(duplicate, "nexpo_users_key"):
                    raise duplicate
                # The key's tombstone was purged between the two statements: once more.

        return await self._pool.run(work)

    async def remove(self, tenant: str, key: str) -> None:
        """See UserStore."""
        await self._bury("dbo.nexpo_users", _DEAD_USER, tenant, key)

    async def get(self, tenant: str, user_id: str) -> StoredUser:
        """See UserStore."""
        _, rows = await self._execute(_READ_USER, tenant=tenant, user_id=user_id)
        if not rows:
            raise _fault(Reason.REASON_USER_NOT_FOUND)
        return whole(self.store, _stored(rows[0]))

    async def page(self, tenant: str, after: Position | None, limit: int) -> list[StoredUser]:
        """See UserStore."""
        values: dict[str, object] = {"tenant": tenant, "limit": limit}
        if after is not None:
            values |= {"create_time": _naive(after.create_time), "user_id": after.user_id}
        query = _PAGE.format(columns=_COLUMNS, behind=_BEHIND if after else "")
        _, rows = await self._execute(query, **values)
        return [_stored(row) for row in rows]

    async def replace(self, tenant: str, user: User, expected_etags: Collection[str]) -> None:
        """See UserStore."""
        values: dict[str, object] = {"tenant": tenant, **_values(user)}
        expected = {f"expected_{n}": etag for n, etag in enumerate(sorted(set(expected_etags)))}
        changes = ", ".join(f"{name} = %({name})s" for name in NAMES if name != "user_id")
        allowed = ", ".join(f"%({name})s" for name in expected)
        statement = _REPLACE.format(changes=changes, user=_USER, expected=allowed)

        def work(connection: Connection) -> None:
            try:
                if expected and connection.execute(statement, **values, **expected)[0]:
                    return
            except pytds.DatabaseError as error:
                if is_duplicate(error):
                    raise _fault(Reason.REASON_EMAIL_TAKEN) from None
                raise
            _, rows = connection.execute(_READ_ETAG, tenant=tenant, user_id=user.user_id)
            if not rows:
                raise _fault(Reason.REASON_USER_NOT_FOUND)
            if rows[0][0] != user.etag:
                raise _fault(Reason.REASON_ETAG_MISMATCH)

        await self._pool.run(work)

    async def erase(self, tenant: str, user_id: str) -> None:
        """See UserStore."""
        await self._execute(_ERASE, tenant=tenant, user_id=user_id)

    async def claim(self, tenant: str, key: str, resource: str) -> bool:
        """See UserStore."""

        def work(connection: Connection) -> bool:
            try:
                connection.execute(_CLAIM, tenant=tenant, key=key, resource=resource)
                return True
            except pytds.DatabaseError as error:
                if not is_duplicate(error):
                    raise
            _, rows = connection.execute(_READ_CLAIM, tenant=tenant, key=key)
            if not rows:
                return False
            tombstone, held = rows[0]
            if tombstone:
                raise _fault(Reason.REASON_FENCED)
            return bool(held == resource)

        return await self._pool.run(work)

    async def release(self, tenant: str, key: str) -> None:
        """See UserStore."""
        await self._bury("dbo.nexpo_claims", _DEAD_CLAIM, tenant, key)

    async def forget(self, tenant: str, resource: str) -> None:
        """See UserStore."""
        await self._execute(_FORGET, tenant=tenant, resource=resource)

    async def purge(self, before: datetime) -> int:
        """See UserStore; at most 1,000 of each kind a call."""
        moment = _naive(before)
        users, _ = await self._execute(_PURGE.format(table="dbo.nexpo_users"), before=moment)
        claims, _ = await self._execute(_PURGE.format(table="dbo.nexpo_claims"), before=moment)
        return users + claims

    async def ping(self) -> None:
        """See UserStore."""
        await self._execute("SELECT 1")

    async def _execute(self, statements: str, **values: object) -> tuple[int, list[Row]]:
        return await self._pool.run(lambda connection: connection.execute(statements, **values))

    async def _bury(self, table: str, dead: str, tenant: str, key: str) -> None:
        """Makes the key's row a tombstone, or writes one where there is no row."""
        bury = _BURY.format(table=table, dead=dead)

        def work(connection: Connection) -> None:
            if connection.execute(bury, tenant=tenant, key=key)[0]:
                return
            try:
                connection.execute(_BURY_NOTHING.format(table=table), tenant=tenant, key=key)
            except pytds.DatabaseError as error:
                if not is_duplicate(error):
                    raise
                # A tombstone is there already, or a creation has landed in between.
                connection.execute(bury, tenant=tenant, key=key)

        await self._pool.run(work)


@asynccontextmanager
async def open_sqlserver(url: str, size: int = 8) -> AsyncIterator[SqlServerUserStore]:
    """Opens the store; the database is met, and migrated, at the first call.

    Args:
        url: "mssql://user:password@host:port/database?Encrypt=..."; see Target.
        size: Connections at most.

    Raises:
        ValueError: The URL is malformed.
    """
    async with Pool.open(Target.parse(url), size) as pool:
        yield SqlServerUserStore(pool)


def _fault(reason: Reason.ValueType) -> Fault:
    return store_fault(Store.STORE_SQLSERVER, reason)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _values(user: User) -> dict[str, object]:
    fields = UserFields.of(user)
    values = asdict(fields)
    if fields.profile is not None:
        values["profile"] = json.dumps(fields.profile, ensure_ascii=False)
    for name in ("create_time", "update_time"):
        values[name] = _naive(values[name])
    return values


def _stored(row: Row) -> StoredUser:
    named = dict(zip(("id", *_WRITTEN), row, strict=True))
    return stored_user(
        Store.STORE_SQLSERVER,
        named,
        moment=lambda moment: moment.replace(tzinfo=UTC),
        profile=json_profile,
    )
