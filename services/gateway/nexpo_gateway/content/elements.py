"""How much a request holds: the names and items in it, however deep, as its JSON has them.

Work on a request grows with its elements far more than with its bytes, so they
have a limit of their own: before JSON is parsed, and before a message is walked.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

MOST_ELEMENTS = 5000
"""How many a request may have: what is done for each, together, stays below 50 ms."""


def too_many_elements() -> Fault:
    """The fault of a request with more elements than one may have."""
    return Fault(
        Reason.REASON_MESSAGE_TOO_LARGE,
        f"The request holds more than {MOST_ELEMENTS} names and items.",
    )


def has_more_elements(message: Message, most: int) -> bool:
    """Whether there are more than so many; looks at no more than these."""
    # No element takes less than a byte.
    return message.ByteSize() > most and _left(message, most) < 0


def _left(message: Message, most: int) -> int:
    """What is left of the number when the message's elements are taken from it."""
    waiting = [message]
    while waiting:
        message = waiting.pop()
        fields = message.ListFields()
        if not _is_value(message.DESCRIPTOR):
            most -= len(fields)
        for field, value in fields:
            if field.is_repeated:
                most -= len(value)
            if most < 0:
                return most
            waiting += _messages(field, value)
    return most


def _messages(field: FieldDescriptor, value: Any) -> Iterable[Message]:
    if field.message_type is None or _is_map_of_scalars(field):
        return ()
    if not field.is_repeated:
        return (cast(Message, value),)
    messages: Iterable[Message] = value.values() if _is_map(field) else value
    return messages


# Of the contract's types and fields: reading options costs more than what they say.
@functools.cache
def _is_value(kind: Descriptor) -> bool:
    """Whether it is one of those that make up a Struct: JSON has no names for their fields."""
    return kind.file.name == "google/protobuf/struct.proto"


@functools.cache
def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


@functools.cache
def _is_map_of_scalars(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return _is_map(field) and kind is not None and kind.fields_by_name["value"].message_type is None
