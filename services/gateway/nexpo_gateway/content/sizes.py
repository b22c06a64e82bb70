"""How large a request is, and what makes it so."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

MESSAGE_LIMIT = 1024 * 1024
"""Bytes that a request may have: what parsing them takes stays below 50 ms."""

WIRE_LIMIT = 8 * 1024 * 1024
"""Bytes that are received at most; up to here we can say why a request is refused."""


def json_bytes(message: Message) -> int:
    """How long the message is as JSON, as operations carry it."""
    # Compact and in ASCII, as Temporal's converter of messages writes it.
    return len(json.dumps(json_format.MessageToDict(message), separators=(",", ":")))


def too_large(request: Message, size: int, max_bytes: int) -> Fault:
    """The fault of a request of that size; names the field that takes the most room."""
    path = _largest(request)
    return Fault(
        Reason.REASON_MESSAGE_TOO_LARGE,
        f"The request has {size:,} bytes; it may have {max_bytes:,} at most.",
        fields=[FieldViolation(path, "takes the most room")] if path else [],
    )


def over_limit(limit: int = MESSAGE_LIMIT) -> Fault:
    """The fault of a request over the limit, in bytes."""
    return Fault(
        Reason.REASON_MESSAGE_TOO_LARGE, f"The request is larger than {limit // 1024} KiB."
    )


def _largest(message: Message) -> str:
    """The path of the field that takes most of the room."""
    fields = message.ListFields()
    if not fields:
        return ""
    field, value = max(fields, key=lambda one: _room(type(message)(), *one))
    kind = field.message_type
    whole = kind is None or field.is_repeated or kind.full_name.startswith("google.protobuf.")
    inner = "" if whole else _largest(value)
    return f"{field.name}.{inner}" if inner else field.name


def _room(empty: Message, field: FieldDescriptor, value: Any) -> int:
    """Bytes that a field takes in a message."""
    if field.is_repeated:
        getattr(empty, field.name).MergeFrom(value)
    elif field.message_type is not None:
        getattr(empty, field.name).CopyFrom(value)
    else:
        setattr(empty, field.name, value)
    return empty.ByteSize()
