"""A user as plain fields, as databases keep it, and back; exact both ways."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TypeAlias

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import Profile, Store, User

Json: TypeAlias = bool | float | str | Sequence["Json"] | Mapping[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class UserFields:
    """What a store keeps of a user.

    Attributes:
        user_id: Identifies the user.
        email: Address, normalised.
        display_name: Name to show.
        state: Name of the state: "PENDING", "ACTIVE", "DELETING".
        profile: {"locale", "time_zone", "plan", "attributes"}, plain JSON; None without one.
        etag: Changes with every change.
        create_time: UTC, to the microsecond.
        update_time: UTC, to the microsecond.
        stores: Names of the stores that the user lives in, joined by commas.
    """

    user_id: str
    email: str
    display_name: str
    state: str
    profile: dict[str, Json] | None
    etag: str
    create_time: datetime
    update_time: datetime
    stores: str

    @classmethod
    def of(cls, user: User) -> UserFields:
        """The fields of a user."""
        return cls(
            user_id=user.user_id,
            email=user.email,
            display_name=user.display_name,
            state=User.State.Name(user.state),
            profile=_profile_fields(user.profile) if user.HasField("profile") else None,
            etag=user.etag,
            create_time=user.create_time.ToDatetime(tzinfo=UTC),
            update_time=user.update_time.ToDatetime(tzinfo=UTC),
            stores=",".join(Store.Name(store) for store in user.stores),
        )

    def user(self) -> User:
        """The user of the fields."""
        return User(
            user_id=self.user_id,
            email=self.email,
            display_name=self.display_name,
            state=User.State.Value(self.state),
            profile=None if self.profile is None else _profile(self.profile),
            etag=self.etag,
            create_time=_timestamp(self.create_time),
            update_time=_timestamp(self.update_time),
            stores=[Store.Value(name) for name in self.stores.split(",") if name],
        )

    def record(self, password_hash: str) -> UserRecord:
        """The record of the fields."""
        return UserRecord(user=self.user(), password_hash=password_hash)


NAMES: tuple[str, ...] = tuple(field.name for field in fields(UserFields))


def json_profile(text: str | None) -> dict[str, Json] | None:
    """A profile that is kept as a JSON text. Raises: ValueError, TypeError."""
    profile = None if text is None else json.loads(text)
    if profile is not None and not isinstance(profile, dict):
        raise TypeError("a profile is an object")
    return profile


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _profile_fields(profile: Profile) -> dict[str, Json]:
    plain: dict[str, Json] = {
        "locale": profile.locale,
        "time_zone": profile.time_zone,
        "plan": profile.plan,
    }
    if profile.HasField("attributes"):
        plain["attributes"] = _plain_struct(profile.attributes)
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
        profile.attributes.CopyFrom(_struct(attributes))
    return profile


# Not json_format: it turns whole doubles into integers, which overflow in BSON.
def _plain_struct(struct: Struct) -> dict[str, Json]:
    return {key: _plain(struct.fields[key]) for key in sorted(struct.fields)}


def _plain(value: Value) -> Json:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "struct_value":
            return _plain_struct(value.struct_value)
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case _:
            return None


def _struct(plain: Mapping[str, Json]) -> Struct:
    return Struct(fields={key: _value(item) for key, item in plain.items()})


def _value(plain: Json) -> Value:
    match plain:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=plain)
        case int() | float():
            if not math.isfinite(plain):
                raise ValueError("JSON has no such number")
            return Value(number_value=plain)
        case str():
            return Value(string_value=plain)
        case Mapping():
            return Value(struct_value=_struct(plain))
        case list() | tuple():
            return Value(list_value=ListValue(values=[_value(item) for item in plain]))
        case _:
            raise TypeError("no value of JSON")
