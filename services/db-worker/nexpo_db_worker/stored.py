"""A store's row as a user; one that cannot be read is shown by its id and costs no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import GetUserResponse, Store, StoreCopy, User
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.records import Json, UserFields
from nexpo_db_worker.stores import Position, StoredUser
from nexpo_runtime.errors import reason_name
from nexpo_runtime.telemetry.metrics import UNREADABLE

# A page of the largest is cut at this, too: gRPC's clients take 4 MiB in one message.
LARGEST_BYTES = 1024 * 1024

_REPEAT_S = 60.0
_log = logging.getLogger(__name__)
_logged: dict[tuple[int, str], float] = {}


def stored_user(
    store: Store.ValueType,
    row: Mapping[str, Any],
    *,
    moment: Callable[[Any], datetime],
    profile: Callable[[Any], dict[str, Json] | None] = lambda value: value,
) -> StoredUser:
    """What a row holds; when that cannot be read, who it is and why nothing else is shown.

    Rows are written by this service, and by people and other programs past it.

    Args:
        store: Where the row is.
        row: By the names of UserFields, and "id" and "password_hash".
        moment: Reads a time, UTC.
        profile: Reads the profile.
    """
    store_id, position = str(row["id"]), None
    try:
        born = moment(row["create_time"])
        position = Position(born, _text(row["user_id"]))
        fields = UserFields(
            user_id=row["user_id"],
            email=row["email"],
            display_name=row["display_name"],
            state=row["state"],
            profile=profile(row["profile"]),
            etag=row["etag"],
            create_time=born,
            update_time=moment(row["update_time"]),
            stores=row["stores"],
        )
        record = fields.record(row["password_hash"])
        _require_carriable(record.user)
    except Exception as error:  # whatever a planted value makes of it: nothing here does I/O
        _report(store, store_id, error)
        return StoredUser(store_id, _unreadable(row.get("user_id"), store_id), position)
    return StoredUser(store_id, record, position)


def whole(store: Store.ValueType, stored: StoredUser) -> StoredUser:
    """The user, who must be readable. Raises: Fault: RECORD_UNREADABLE."""
    if stored.record.user.unreadable:
        raise store_fault(store, Reason.REASON_RECORD_UNREADABLE)
    return stored


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _unreadable(user_id: object, store_id: str) -> UserRecord:
    name = user_id if isinstance(user_id, str) else store_id
    return UserRecord(
        user=User(
            user_id=name.encode(errors="replace").decode(),
            unreadable=reason_name(Reason.REASON_RECORD_UNREADABLE),
        )
    )


def _require_carriable(user: User) -> None:
    """Raises: DecodeError: readers of protobuf stop at 100 messages in each other; ValueError."""
    if user.ByteSize() > LARGEST_BYTES:
        raise ValueError("too large for one message")
    if user.profile.HasField("attributes"):
        # The answer that puts the most around a user.
        answer = GetUserResponse(copies=[StoreCopy(user=user)])
        GetUserResponse.FromString(answer.SerializeToString())


def _report(store: Store.ValueType, store_id: str, error: Exception) -> None:
    """Counts it, and logs it once a minute; without the error's text, which may quote the row."""
    name = Store.Name(store).removeprefix("STORE_").lower()
    UNREADABLE.labels(name).inc()
    now = time.monotonic()
    if now - _logged.get((store, store_id), -_REPEAT_S) >= _REPEAT_S:
        if len(_logged) > 1000:
            _logged.clear()
        _logged[store, store_id] = now
        kind = type(error).__name__
        _log.error("a user's record cannot be read: %s, id %s, %s", name, store_id, kind)
