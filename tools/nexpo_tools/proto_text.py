"""Prints a .proto file from its descriptor.

protovalidate's wheel holds validate.proto as a descriptor only, and buf, editors
and other languages' generators read text. Comments are not in a descriptor, so
they are lost; everything else is kept, which the tests check by compiling it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

_LABELS = {
    FieldDescriptorProto.LABEL_OPTIONAL: "optional ",
    FieldDescriptorProto.LABEL_REQUIRED: "required ",
    FieldDescriptorProto.LABEL_REPEATED: "repeated ",
}
# The end of a range that was written as "max".
_MAX = 536870912


def print_proto(
    file: descriptor_pb2.FileDescriptorProto,
    dependencies: Iterable[descriptor_pb2.FileDescriptorProto],
) -> str:
    """The text of a proto2 or proto3 file.

    Args:
        file: What to print.
        dependencies: The files that it imports and theirs, each after its own.

    Raises:
        ValueError: The file uses what this does not print: editions, groups,
            services.
    """
    if file.syntax not in ("", "proto2", "proto3") or file.service:
        raise ValueError(f"{file.name} uses editions or services, which cannot be printed")
    return "\n".join(_Printer(file, dependencies).lines()) + "\n"


class _Printer:
    def __init__(
        self,
        file: descriptor_pb2.FileDescriptorProto,
        dependencies: Iterable[descriptor_pb2.FileDescriptorProto],
    ) -> None:
        self._file = file
        self._pool = descriptor_pool.DescriptorPool()
        for known in (*dependencies, file):
            self._pool.Add(known)

    def lines(self) -> Iterator[str]:
        file = self._file
        yield f'syntax = "{file.syntax or "proto2"}";'
        yield ""
        yield f"package {file.package};"
        yield ""
        for name in file.dependency:
            yield f'import "{name}";'
        yield from self._option_lines(file.options, "")
        yield from self._extensions(file.extension, "")
        for message in file.message_type:
            yield ""
            yield from self._message(message, "")
        for enum in file.enum_type:
            yield ""
            yield from self._enum(enum, "")

    def _message(self, message: descriptor_pb2.DescriptorProto, pad: str) -> Iterator[str]:
        inner = pad + "  "
        maps = {n.name: n for n in message.nested_type if n.options.map_entry}
        yield f"{pad}message {message.name} {{"
        yield from self._option_lines(message.options, inner)
        for enum in message.enum_type:
            yield from self._enum(enum, inner)
        for nested in message.nested_type:
            if nested.name not in maps:
                yield from self._message(nested, inner)
        opened: int | None = None
        for field in message.field:
            oneof = field.oneof_index if _in_oneof(field) else None
            if oneof != opened:
                if opened is not None:
                    yield f"{inner}}}"
                if oneof is not None:
                    yield f"{inner}oneof {message.oneof_decl[oneof].name} {{"
                    yield from self._option_lines(message.oneof_decl[oneof].options, inner + "  ")
                opened = oneof
            yield self._field(field, maps, inner + ("  " if oneof is not None else ""))
        if opened is not None:
            yield f"{inner}}}"
        for extension_range in message.extension_range:
            yield f"{inner}extensions {_range(extension_range.start, extension_range.end)};"
        for reserved in message.reserved_range:
            yield f"{inner}reserved {_range(reserved.start, reserved.end)};"
        yield from _reserved_names(message.reserved_name, inner)
        yield from self._extensions(message.extension, inner)
        yield f"{pad}}}"

    def _field(
        self, field: FieldDescriptorProto, maps: dict[str, descriptor_pb2.DescriptorProto], pad: str
    ) -> str:
        entry = maps.get(field.type_name.rpartition(".")[2])
        if entry is not None:
            key, value = (_type(part) for part in entry.field)
            head = f"map<{key}, {value}>"
        else:
            head = self._label(field) + _type(field)
        options = [f"{name} = {value}" for name, value in self._options(field.options)]
        if field.HasField("default_value"):
            quoted = field.type in (FieldDescriptorProto.TYPE_STRING,)
            default = json.dumps(field.default_value) if quoted else field.default_value
            options.insert(0, f"default = {default}")
        tail = f" [{', '.join(options)}]" if options else ""
        return f"{pad}{head} {field.name} = {field.number}{tail};"

    def _label(self, field: FieldDescriptorProto) -> str:
        if _in_oneof(field):
            return ""
        plain = self._file.syntax == "proto3" and not field.proto3_optional
        if plain and field.label == FieldDescriptorProto.LABEL_OPTIONAL:
            return ""
        return _LABELS[field.label]

    def _enum(self, enum: descriptor_pb2.EnumDescriptorProto, pad: str) -> Iterator[str]:
        yield f"{pad}enum {enum.name} {{"
        yield from self._option_lines(enum.options, pad + "  ")
        for value in enum.value:
            options = [f"{name} = {text}" for name, text in self._options(value.options)]
            tail = f" [{', '.join(options)}]" if options else ""
            yield f"{pad}  {value.name} = {value.number}{tail};"
        for reserved in enum.reserved_range:
            yield f"{pad}  reserved {_range(reserved.start, reserved.end + 1)};"
        yield from _reserved_names(enum.reserved_name, pad + "  ")
        yield f"{pad}}}"

    def _extensions(self, fields: Iterable[FieldDescriptorProto], pad: str) -> Iterator[str]:
        for field in fields:
            yield f"{pad}extend {field.extendee} {{"
            yield self._field(field, {}, pad + "  ")
            yield f"{pad}}}"

    def _option_lines(self, options: Any, pad: str) -> Iterator[str]:
        for name, value in self._options(options):
            yield f"{pad}option {name} = {value};"

    def _options(self, options: Any) -> Iterator[tuple[str, str]]:
        """Names and values as the language writes them."""
        try:
            descriptor = self._pool.FindMessageTypeByName(options.DESCRIPTOR.full_name)
        except KeyError:
            parsed = options
        else:
            parsed = message_factory.GetMessageClass(descriptor).FromString(
                options.SerializeToString()
            )
        for field, value in parsed.ListFields():
            name = f"(.{field.full_name})" if field.is_extension else field.name
            for item in value if field.is_repeated else [value]:
                yield name, self._value(field, item)

    def _value(self, field: Any, value: Any) -> str:
        if field.message_type is not None:
            text = text_format.MessageToString(value, as_one_line=True, descriptor_pool=self._pool)
            return f"{{ {text} }}"
        if field.enum_type is not None:
            return str(field.enum_type.values_by_number[value].name)
        return json.dumps(value)


def _in_oneof(field: FieldDescriptorProto) -> bool:
    return field.HasField("oneof_index") and not field.proto3_optional


def _type(field: FieldDescriptorProto) -> str:
    if field.type == FieldDescriptorProto.TYPE_GROUP:
        raise ValueError(f"{field.name} is a group, which cannot be printed")
    # A leading dot makes the name absolute: no scope can shadow it.
    return field.type_name or FieldDescriptorProto.Type.Name(field.type)[5:].lower()


def _reserved_names(names: Iterable[str], pad: str) -> Iterator[str]:
    quoted = ", ".join(json.dumps(name) for name in names)
    if quoted:
        yield f"{pad}reserved {quoted};"


def _range(start: int, end: int) -> str:
    last = "max" if end == _MAX else str(end - 1)
    return str(start) if last == str(start) else f"{start} to {last}"
