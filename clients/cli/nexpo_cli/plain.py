"""Values of messages as plain words; nothing in them can move the cursor or colour the screen."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from . import values


def clean(text: str) -> str:
    """The text with every control character made visible; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else _visible(c) for c in text)


def is_leaf(message: Message) -> bool:
    """Whether the message is one value, not a structure."""
    return message.DESCRIPTOR.full_name.startswith("google.protobuf.") and not isinstance(
        message, AnyMessage
    )


def leaf(field: FieldDescriptor, value: Any) -> str:
    """One value of a field in words."""
    if isinstance(value, Message):
        return leaf_message(value)
    if field.enum_type is not None:
        return values.shown_enum(field.enum_type, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return clean(str(value))


def leaf_message(message: Message) -> str:
    """A well-known message in words."""
    if isinstance(message, Timestamp):
        return moment(message)
    if isinstance(message, Duration):
        return span(message.ToNanoseconds() / 1e9)
    if isinstance(message, FieldMask):
        return clean(",".join(message.paths))
    return clean(json.dumps(json_format.MessageToDict(message), ensure_ascii=False))


def moment(stamp: Timestamp) -> str:
    """A time on the user's clock, to the second."""
    try:
        utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=stamp.seconds)
        return utc.astimezone().strftime("%Y-%m-%d %H:%M:%S%z")
    except (OverflowError, ValueError):
        return f"{stamp.seconds} s after 1970"


def span(seconds: float) -> str:
    """How long: 12 ms, 3.4 s, 1 h 2 min."""
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 120:
        return f"{seconds:.3g} s"
    minutes, _ = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode() if character != "\t" else " "
