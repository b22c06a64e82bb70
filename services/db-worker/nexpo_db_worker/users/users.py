"""Users in one database, and in all that are switched on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.user_records_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import User
from nexpo_db_worker.capabilities.fences import Fences, Taken
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.records import Records
from nexpo_db_worker.capabilities.rows import Place, Row, readable
from nexpo_db_worker.claims import Claims
from nexpo_db_worker.databases.names import id_of
from nexpo_db_worker.databases.opened import Database, Databases
from nexpo_db_worker.users.fields import record_of, values_of
from nexpo_db_worker.users.table import CLAIMS, USERS
from nexpo_runtime.errors import Fault, reason_name

_SENTENCES = {
    Reason.REASON_RECORD_UNREADABLE: "{} holds a record of the user that cannot be read.",
    Reason.REASON_EMAIL_TAKEN: "The e-mail address belongs to another user.",
    Reason.REASON_USER_NOT_FOUND: "There is no such user.",
    Reason.REASON_ETAG_MISMATCH: "The user has changed since it was read.",
    Reason.REASON_COPY_DIFFERS: "{}'s copy of the user is not what the authority has.",
}


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A live record.

    Attributes:
        id: The database's own id of it (bigint, ObjectId, ...).
        record: The record; of one that cannot be read the user's id, and `unreadable`.
        place: Its place in pages, where that is known.
    """

    id: str
    record: UserRecord
    place: Place | None = field(default=None, compare=False)


class Users:
    """Users in one database, each effect fenced by its key.

    What Fences and Records promise holds: a creation that lands after its undo ends as
    FENCED, and what they may raise any method here may, too.

    Args:
        origin: The database, for faults.
        fences: Of USERS.
        records: Of USERS.
        claims: Of CLAIMS: addresses and locks.

    Attributes:
        claims: As given.
    """

    def __init__(self, origin: Origin, fences: Fences, records: Records, claims: Claims) -> None:
        self.claims = claims
        self._origin = origin
        self._fences = fences
        self._records = records

    @classmethod
    def over(cls, database: Database) -> Self:
        """Those of a database. Raises: Fault: CAPABILITY_MISSING."""
        claims = Claims(database.fences(CLAIMS))
        return cls(database.origin, database.fences(USERS), database.records(USERS), claims)

    @property
    def database(self) -> str:
        """The database's name: databases/{id}."""
        return self._origin.name

    async def create(self, tenant: str, key: str, record: UserRecord) -> StoredUser:
        """Writes a record, or returns the one that the key wrote before.

        Raises:
            Fault: EMAIL_TAKEN when another live record of the tenant has the
                address; FENCED when the key was undone.
        """
        values = {**values_of(record.user), "password_hash": record.password_hash}
        try:
            return self._stored(await self._fences.create(tenant, key, values))
        except Taken as taken:
            raise self._taken(taken) from None

    async def remove(self, tenant: str, key: str) -> None:
        """Undoes `create` under the key, also one that has not landed yet."""
        await self._fences.remove(tenant, key)

    async def get(self, tenant: str, user_id: str) -> StoredUser:
        """Reads a live record. Raises: Fault: USER_NOT_FOUND, RECORD_UNREADABLE."""
        row = await self._records.get(tenant, user_id)
        if row is None:
            raise self.fault(Reason.REASON_USER_NOT_FOUND)
        stored = self._stored(row)
        if stored.record.user.unreadable:
            raise self.fault(Reason.REASON_RECORD_UNREADABLE)
        return stored

    async def page(self, tenant: str, after: Place | None, limit: int) -> list[StoredUser]:
        """At most `limit` live records behind `after`, by (create_time, user_id).

        One that cannot be read is among them, as StoredUser says.
        """
        return [self._stored(row) for row in await self._records.page(tenant, after, limit)]

    async def replace(self, tenant: str, user: User, expected_etags: Collection[str]) -> None:
        """Writes all fields of `user` (but not the password hash) over the live
        record of `user.user_id` whose etag is in `expected_etags`.

        A record that already has `user.etag` counts as written.

        Raises:
            Fault: USER_NOT_FOUND; ETAG_MISMATCH when it has another etag; EMAIL_TAKEN.
        """
        try:
            etag = await self._records.replace(tenant, values_of(user), expected_etags)
        except Taken as taken:
            raise self._taken(taken) from None
        if etag is None:
            raise self.fault(Reason.REASON_USER_NOT_FOUND)
        if etag != user.etag:
            raise self.fault(Reason.REASON_ETAG_MISMATCH)

    async def erase(self, tenant: str, user_id: str) -> None:
        """Replaces the user's record, if there is one, by a tombstone."""
        await self._fences.erase(tenant, user_id)

    def fault(self, reason: Reason.ValueType) -> Fault:
        """A fault about a user in this database."""
        return self._origin.fault(reason, sentence=_SENTENCES.get(reason, ""))

    def _taken(self, taken: Taken) -> Fault:
        if taken.column == "email":
            return self.fault(Reason.REASON_EMAIL_TAKEN)
        return self._origin.fault(Reason.REASON_STORE_REFUSED, taken)  # ids are made, not chosen

    def _stored(self, row: Row) -> StoredUser:
        record = readable(self._origin, row, record_of)
        return StoredUser(row.own_id, record or _unreadable(row), row.place)


@dataclass(frozen=True)
class UserDatabases:
    """Users in every database that is switched on.

    Attributes:
        all: By the database's name, sorted.
        authority: The ones that decide: reservations, locks, lists.
    """

    all: Mapping[str, Users]
    authority: Users

    @classmethod
    def over(cls, databases: Databases) -> Self:
        """Those of the databases. Raises: Fault: CAPABILITY_MISSING."""
        users = [Users.over(database) for _, database in sorted(databases.all.items())]
        named = {one.database: one for one in users}
        return cls(named, named[databases.all[databases.authority].origin.name])

    def get(self, database: str) -> Users:
        """Those of a database, by its name. Raises: Fault: STORE_DISABLED; INVALID_ARGUMENT."""
        if database not in self.all:
            raise Fault(
                Reason.REASON_STORE_DISABLED,
                f"The database {id_of(database)} is not switched on.",
                metadata={"database": database},
            )
        return self.all[database]


def _unreadable(row: Row) -> UserRecord:
    return UserRecord(
        user=User(
            user_id=row.name.encode(errors="replace").decode(),
            unreadable=reason_name(Reason.REASON_RECORD_UNREADABLE),
        )
    )
