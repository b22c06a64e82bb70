"""A user as the values of a row, and back; exact both ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from nexpo.users.v1.user_records_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import GetUserResponse, Profile, RecordCopy, User
from nexpo_db_worker.capabilities.rows import Values
from nexpo_db_worker.structs import Json, plain_struct, struct_of

# A page of the largest is cut at this, too: gRPC's clients take 4 MiB in one message.
_LARGEST_BYTES = 1024 * 1024


def values_of(user: User) -> dict[str, object]:
    """Every column of a user's row but the hash of the password."""
    return {
        "user_id": user.user_id,
        "email": user.email,
        "display_name": user.display_name,
        "state": User.State.Name(user.state),
        "profile": _plain_profile(user.profile) if user.HasField("profile") else None,
        "etag": user.etag,
        "create_time": user.create_time.ToDatetime(tzinfo=UTC),
        "update_time": user.update_time.ToDatetime(tzinfo=UTC),
        "databases": ",".join(user.databases),
    }


def record_of(values: Values) -> UserRecord:
    """The record of a row, as it can be carried.

    Raises:
        ValueError, TypeError, OverflowError, DecodeError: The row is not a user's.
    """
    profile = values["profile"]
    user = User(
        user_id=values["user_id"],
        email=values["email"],
        display_name=values["display_name"],
        state=User.State.Value(values["state"]),
        profile=None if profile is None else _profile(profile),
        etag=values["etag"],
        create_time=_timestamp(values["create_time"]),
        update_time=_timestamp(values["update_time"]),
        databases=filter(None, values["databases"].split(",")),
    )
    _require_carriable(user)
    return UserRecord(user=user, password_hash=values["password_hash"])


def _require_carriable(user: User) -> None:
    """Raises: DecodeError: readers of protobuf stop at 100 messages in each other; ValueError."""
    if user.ByteSize() > _LARGEST_BYTES:
        raise ValueError("too large for one message")
    if user.profile.HasField("attributes"):
        # The answer that puts the most around a user.
        answer = GetUserResponse(copies=[RecordCopy(user=user)])
        GetUserResponse.FromString(answer.SerializeToString())


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _plain_profile(profile: Profile) -> dict[str, Json]:
    plain: dict[str, Json] = {
        "locale": profile.locale,
        "time_zone": profile.time_zone,
        "plan": profile.plan,
    }
    if profile.HasField("attributes"):
        plain["attributes"] = plain_struct(profile.attributes)
    return plain


def _profile(plain: Mapping[str, Json]) -> Profile:
    profile = Profile(
        locale=str(plain.get("locale") or ""),
        time_zone=str(plain.get("time_zone") or ""),
        plan=str(plain.get("plan") or ""),
    )
    attributes = plain.get("attributes")
    if attributes is not None:
        if not isinstance(attributes, Mapping):
            raise TypeError("attributes are no object")
        profile.attributes.CopyFrom(struct_of(attributes))
    return profile
