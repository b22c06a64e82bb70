"""Walks the text fields of a message, however deep they lie."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Text:
    """One text in a message.

    Attributes:
        path: Where it stands in the request, such as "a.b[0].c".
        value: The text.
        message: The message that has it.
        field: Its field there.
        index: Its place in a repeated field; None in a single one.
    """

    path: str
    value: str
    message: Message
    field: FieldDescriptor
    index: int | None = None

    def replace(self, new: str) -> None:
        """Puts another text in its place."""
        if self.index is None:
            setattr(self.message, self.field.name, new)
        else:
            getattr(self.message, self.field.name)[self.index] = new

    def move(self, field: FieldDescriptor, new: str) -> None:
        """Puts another text into another single field of the message, and empties this one."""
        self.message.ClearField(self.field.name)
        setattr(self.message, field.name, new)


def texts(
    message: Message, wanted: Callable[[FieldDescriptor], bool], path: str = ""
) -> Iterator[Text]:
    """The texts of the fields that are wanted and set, in repeated fields and maps too."""
    if not _may_hold(message.DESCRIPTOR, wanted):
        return
    for field, value in message.ListFields():
        here = f"{path}.{field.name}" if path else field.name
        if field.type == FieldDescriptor.TYPE_STRING:
            if wanted(field):
                yield from _strings(message, field, value, here)
        elif field.message_type is not None:
            for child, child_path in _children(field, field.message_type, value, here):
                yield from texts(child, wanted, child_path)


@functools.cache
def _may_hold(kind: Descriptor, wanted: Callable[[FieldDescriptor], bool]) -> bool:
    """Whether messages of a kind have such a text, at whatever depth."""
    found, kinds = {kind.full_name}, [kind]
    for known in kinds:  # grows meanwhile
        for field in known.fields:
            if field.type == FieldDescriptor.TYPE_STRING and wanted(field):
                return True
            inner = field.message_type
            if inner is not None and inner.full_name not in found:
                found.add(inner.full_name)
                kinds.append(inner)
    return False


def _strings(message: Message, field: FieldDescriptor, value: Any, path: str) -> Iterator[Text]:
    if not field.is_repeated:
        yield Text(path, value, message, field)
        return
    for index, item in enumerate(list(value)):
        yield Text(f"{path}[{index}]", item, message, field, index)


def _children(
    field: FieldDescriptor, kind: Descriptor, value: Any, path: str
) -> Iterator[tuple[Message, str]]:
    if kind.GetOptions().map_entry:
        if kind.fields_by_name["value"].message_type is not None:
            for key in sorted(value):
                yield value[key], f'{path}["{key}"]'
    elif field.is_repeated:
        for index, child in enumerate(value):
            yield child, f"{path}[{index}]"
    else:
        yield value, path
