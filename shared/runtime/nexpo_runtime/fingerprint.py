"""The content of requests: whether two calls say the same, and where they differ.

A fingerprint has one digest a field, not the content: it can be kept for long and
still names the fields that differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from nexpo import registry

SCOPE = frozenset({"operation", "request_id"})
"""Fields of a call to an operation that say whom it reaches and under which key."""

_DIGEST_BYTES = 16


def fingerprint(request: Message, without: Container[str] = ()) -> dict[str, bytes]:
    """A digest of every field that is set, by its path: "profile.locale".

    What was made of a secret stands under the name of what the caller filled.

    A repeated field, a map and a message of google.protobuf, such as a Timestamp,
    is one value: naming its insides would only confuse.

    Args:
        request: What to read.
        without: Fields of the request itself to leave out.
    """
    found: dict[str, bytes] = {}
    for field, value in request.ListFields():
        if field.name not in without:
            _add(found, request, field, value, _name(field))
    return found


def _add(
    found: dict[str, bytes], holder: Message, field: FieldDescriptor, value: Any, path: str
) -> None:
    kind = field.message_type
    if kind is None or field.is_repeated or kind.full_name.startswith("google.protobuf."):
        alone = _alone(holder, field, value).SerializeToString(deterministic=True)
        found[path] = hashlib.sha256(alone).digest()[:_DIGEST_BYTES]
        return
    found[path] = b""  # that it is there at all
    for inner, content in value.ListFields():
        _add(found, value, inner, content, f"{path}.{_name(inner)}")


def _name(field: FieldDescriptor) -> str:
    return (registry.unprotected(field) or field).name


def _alone(holder: Message, field: FieldDescriptor, value: Any) -> Message:
    """A message of the holder's type with this field only."""
    alone = type(holder)()
    if field.is_repeated:
        getattr(alone, field.name).MergeFrom(value)
    elif field.message_type is not None:
        getattr(alone, field.name).CopyFrom(value)
    else:
        setattr(alone, field.name, value)
    return alone


def differences(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Paths at which two fingerprints differ, sorted; of a message that only one has, its own."""
    differing = sorted(
        path for path in one.keys() | other.keys() if one.get(path) != other.get(path)
    )
    return [path for path in differing if not any(path.startswith(f"{p}.") for p in differing)]
