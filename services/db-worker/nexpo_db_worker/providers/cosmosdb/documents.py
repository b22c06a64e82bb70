"""Users, claims and tombstones as items of Cosmos DB.

A record and its fence are one item: its id is the digest of the effect's key. Every
item of a container must have a value at every unique path that no other has, so a
tombstone's are made of its id: they are nobody's address, and no user's id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker import stored
from nexpo_db_worker.records import UserFields
from nexpo_db_worker.stores import StoredUser

Document: TypeAlias = dict[str, Any]


def item_id(key: str) -> str:
    """The id of the item that an effect's key writes: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def user_document(tenant: str, name: str, record: UserRecord) -> Document:
    """A live user.

    Args:
        tenant: The partition.
        name: Id of the item.
        record: The user.
    """
    fields = UserFields.of(record.user)
    return {
        "id": name,
        "tenant": tenant,
        "user_id": fields.user_id,
        "email": fields.email,
        "display_name": fields.display_name,
        "state": fields.state,
        "profile": fields.profile,
        "etag": fields.etag,
        "create_time": time_text(fields.create_time),
        "update_time": time_text(fields.update_time),
        "stores": fields.stores,
        "password_hash": record.password_hash,
    }


def user_tombstone(tenant: str, name: str) -> Document:
    """What is left of a user."""
    return {
        "id": name,
        "tenant": tenant,
        "user_id": f"removed {name}",
        "email": f"removed {name}",
        "removed_time": time_text(datetime.now(UTC)),
    }


def claim_document(tenant: str, name: str, resource: str) -> Document:
    """A live claim."""
    return {"id": name, "tenant": tenant, "resource": resource}


def claim_tombstone(tenant: str, name: str) -> Document:
    """What is left of a claim."""
    return {
        "id": name,
        "tenant": tenant,
        "resource": f"removed {name}",
        "removed_time": time_text(datetime.now(UTC)),
    }


def is_tombstone(document: Mapping[str, Any]) -> bool:
    """Whether the effect was undone."""
    return "removed_time" in document


def stored_user(document: Mapping[str, Any]) -> StoredUser:
    """The live user of an item."""
    return stored.stored_user(Store.STORE_COSMOSDB, document, moment=datetime.fromisoformat)


def time_text(moment: datetime) -> str:
    """ISO 8601 in UTC, of one width, so that texts compare as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
