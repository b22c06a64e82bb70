"""What a database must be able to do to hold users."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import Store, User


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of users ends: keyset over (create_time, user_id)."""

    create_time: datetime
    user_id: str


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A live record.

    Attributes:
        id: The store's own id of it (bigserial, ObjectId, ...).
        record: The record; of one that cannot be read the user's id, and `unreadable`.
        position: Its place in pages, where that is known.
    """

    id: str
    record: UserRecord
    position: Position | None = field(default=None, compare=False)


class UserStore(Protocol):
    """Users and claims in one database, each effect fenced by its key.

    A record and its fence are one row: undoing replaces the row by a tombstone
    under the same unique key, in one atomic write, so a creation that lands
    later meets it and ends as FENCED. Tombstones hold no personal data, are
    invisible to reads, and are purged after their time.

    Every method may raise a Fault with STORE_UNAVAILABLE, STORE_THROTTLED,
    STORE_DENIED or STORE_REFUSED besides those it names. Drivers' own errors
    never leave a provider.
    """

    store: Store.ValueType

    async def create(self, tenant: str, key: str, record: UserRecord) -> StoredUser:
        """Writes a record, or returns the one that the key wrote before.

        Raises:
            Fault: EMAIL_TAKEN when another live record of the tenant has the
                address; FENCED when the key was undone.
        """

    async def remove(self, tenant: str, key: str) -> None:
        """Undoes `create` under the key, also one that has not landed yet."""

    async def get(self, tenant: str, user_id: str) -> StoredUser:
        """Reads a live record. Raises: Fault: USER_NOT_FOUND, RECORD_UNREADABLE."""

    async def page(self, tenant: str, after: Position | None, limit: int) -> list[StoredUser]:
        """At most `limit` live records behind `after`, by (create_time, user_id).

        One that cannot be read is among them, as StoredUser says.
        """

    async def replace(self, tenant: str, user: User, expected_etags: Collection[str]) -> None:
        """Writes all fields of `user` (but not the password hash) over the live
        record of `user.user_id` whose etag is in `expected_etags`.

        A record that already has `user.etag` counts as written.

        Raises:
            Fault: USER_NOT_FOUND; ETAG_MISMATCH when it has another etag.
        """

    async def erase(self, tenant: str, user_id: str) -> None:
        """Replaces the user's record, if there is one, by a tombstone."""

    async def claim(self, tenant: str, key: str, resource: str) -> bool:
        """Takes `resource` ("email:a@b", "user:<id>") for the key; once more is the same.

        Returns:
            Whether the key holds it; False when another key does.

        Raises:
            Fault: FENCED when the key was released.
        """

    async def release(self, tenant: str, key: str) -> None:
        """Undoes `claim` under the key, also one that has not landed yet."""

    async def forget(self, tenant: str, resource: str) -> None:
        """Frees the resource, whichever key holds it."""

    async def purge(self, before: datetime) -> int:
        """Deletes tombstones that were made before; returns how many."""

    async def ping(self) -> None:
        """Answers when the database does."""
