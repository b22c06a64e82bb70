"""Reads a CodeGeneratorRequest into the model.

Options are read with classes built from the request's own descriptors, never
from generated code: so the plugin can generate the contract for the first time,
or for a tree that holds other options than the installed ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from nexpo_tools.protoc_gen_nexpo.model import (
    Contract,
    Enum,
    EnumValue,
    Field,
    File,
    Message,
    Method,
    Place,
    Queue,
    Rule,
    Service,
    Shape,
)

_OPTIONS = "nexpo.options.v1"
# Field numbers in descriptor.proto: the paths of source_code_info are made of them.
_PACKAGE, _MESSAGE, _ENUM, _SERVICE, _FILE_OPTIONS = 2, 4, 5, 6, 8
_FIELD, _NESTED_MESSAGE, _NESTED_ENUM, _VALUE, _METHOD = 2, 3, 4, 2, 2
_TASK_QUEUE = 50806  # of options.proto

_MESSAGES = (FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_GROUP)


def read_contract(request: plugin_pb2.CodeGeneratorRequest) -> Contract:
    """The contract of a protoc request.

    Args:
        request: As protoc writes it; its proto_file are in dependency order.
    """
    options = _Options(request.proto_file)
    messages: dict[str, Message] = {}
    enums: dict[str, Enum] = {}
    readers = [_FileReader(proto, options, messages, enums) for proto in request.proto_file]
    for reader in readers:
        reader.read_types()
    wanted = set(request.file_to_generate)
    files = [reader.read_file() for reader in readers if reader.proto.name in wanted]
    queues = tuple(queue for reader in readers for queue in reader.read_queues())
    ordered = tuple(sorted(files, key=lambda f: f.name))
    limits = _file_option(request, options, "content_limits")
    names = _file_option(request, options, "worker_protocol")
    reserved = frozenset(names.get(name, "") for name in ("state_attribute", "tenant_attribute"))
    return Contract(ordered, messages, enums, queues, limits, reserved)


def _file_option(
    request: plugin_pb2.CodeGeneratorRequest, options: _Options, name: str
) -> dict[str, Any]:
    """The fields of an option that one file has."""
    for proto in request.proto_file:
        found = options.get(proto.options, f"{_OPTIONS}.{name}")
        if found is not None:
            return {field.name: value for field, value in found.ListFields()}
    return {}


class _Options:
    """Custom options, parsed with the request's own extensions."""

    def __init__(self, files: Iterable[descriptor_pb2.FileDescriptorProto]) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        for file in files:
            self._pool.Add(file)

    def get(self, options: Any, name: str) -> Any:
        """The value of the extension `name` in `options`; None when it is not set."""
        try:
            extension = self._pool.FindExtensionByName(name)
            descriptor = self._pool.FindMessageTypeByName(options.DESCRIPTOR.full_name)
        except KeyError:
            return None
        parsed: Any = message_factory.GetMessageClass(descriptor).FromString(
            options.SerializeToString()
        )
        if not extension.is_repeated and not parsed.HasExtension(extension):
            return None
        return parsed.Extensions[extension]


class _FileReader:
    """Reads one file; fills the tables of messages and enums that all files share."""

    def __init__(
        self,
        proto: descriptor_pb2.FileDescriptorProto,
        options: _Options,
        messages: dict[str, Message],
        enums: dict[str, Enum],
    ) -> None:
        self.proto = proto
        self._options = options
        self._messages = messages
        self._enums = enums
        self._locations = {tuple(loc.path): loc for loc in proto.source_code_info.location}

    def read_types(self) -> None:
        """Reads the file's messages and enums, the nested ones too."""
        for i, message in enumerate(self.proto.message_type):
            self._read_message(message, self.proto.package, (_MESSAGE, i))
        for i, enum in enumerate(self.proto.enum_type):
            self._read_enum(enum, self.proto.package, (_ENUM, i))

    def read_file(self) -> File:
        """The file with its services; the types of all files must be read before."""
        services = tuple(
            self._read_service(service, (_SERVICE, i))
            for i, service in enumerate(self.proto.service)
        )
        return File(self.proto.name, self.proto.package, services, self._comment((_PACKAGE,)))

    def read_queues(self) -> Iterable[Queue]:
        """The task queues that the file declares."""
        names = self._options.get(self.proto.options, f"{_OPTIONS}.task_queue") or ()
        for i, name in enumerate(names):
            yield Queue(name, self._place((_FILE_OPTIONS, _TASK_QUEUE, i)))

    def _comment(self, path: tuple[int, ...]) -> str:
        location = self._locations.get(path)
        if location is None:
            return ""
        lines = (line.strip() for line in location.leading_comments.strip().splitlines())
        return "\n".join(lines)

    def _section(self, path: tuple[int, ...]) -> str:
        location = self._locations.get(path)
        detached = location.leading_detached_comments if location else ()
        return detached[-1].strip() if detached else ""

    def _place(self, path: tuple[int, ...]) -> Place:
        location = self._locations.get(path)
        return Place(self.proto.name, location.span[0] + 1 if location else 0)

    def _read_message(
        self, message: descriptor_pb2.DescriptorProto, scope: str, path: tuple[int, ...]
    ) -> None:
        full_name = f"{scope}.{message.name}" if scope else message.name
        maps = {
            f".{full_name}.{nested.name}"
            for nested in message.nested_type
            if nested.options.map_entry
        }
        fields = {
            field.name: self._read_field(field, maps, (*path, _FIELD, i))
            for i, field in enumerate(message.field)
        }
        self._messages[full_name] = Message(
            full_name, self.proto.package, self.proto.name, fields, self._comment(path)
        )
        for i, nested in enumerate(message.nested_type):
            self._read_message(nested, full_name, (*path, _NESTED_MESSAGE, i))
        for i, enum in enumerate(message.enum_type):
            self._read_enum(enum, full_name, (*path, _NESTED_ENUM, i))

    def _read_field(
        self, field: FieldDescriptorProto, maps: set[str], path: tuple[int, ...]
    ) -> Field:
        shape: Shape = "one"
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            shape = "map" if field.type_name in maps else "many"
        sensitive = self._options.get(field.options, f"{_OPTIONS}.sensitive") or 0
        return Field(
            name=field.name,
            scalar=FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower(),
            type_name=field.type_name.removeprefix("."),
            shape=shape,
            presence=field.HasField("oneof_index") or field.type in _MESSAGES,
            sensitive=("", "REDACT", "HASH", "DIGEST")[sensitive],
            protected_as=self._options.get(field.options, f"{_OPTIONS}.protected_as") or "",
            search_attribute=self._options.get(field.options, f"{_OPTIONS}.search_attribute") or "",
            multiline=bool(self._options.get(field.options, f"{_OPTIONS}.multiline")),
            rules=self._rules(field),
            comment=self._comment(path),
            place=self._place(path),
        )

    def _rules(self, field: FieldDescriptorProto) -> str:
        rules = self._options.get(field.options, "buf.validate.field")
        return text_format.MessageToString(rules, as_one_line=True) if rules else ""

    def _read_enum(
        self, enum: descriptor_pb2.EnumDescriptorProto, scope: str, path: tuple[int, ...]
    ) -> None:
        values = []
        for i, value in enumerate(enum.value):
            entry = self._options.get(value.options, "nexpo.errors.v1.entry")
            values.append(
                EnumValue(
                    value.name,
                    value.number,
                    self._comment((*path, _VALUE, i)),
                    self._section((*path, _VALUE, i)),
                    entry and (entry.code, entry.retryable, entry.hint),
                    self._place((*path, _VALUE, i)),
                )
            )
        full_name = f"{scope}.{enum.name}" if scope else enum.name
        self._enums[full_name] = Enum(
            full_name, self.proto.package, self.proto.name, tuple(values), self._comment(path)
        )

    def _read_service(
        self, service: descriptor_pb2.ServiceDescriptorProto, path: tuple[int, ...]
    ) -> Service:
        full_name = f"{self.proto.package}.{service.name}"
        methods = tuple(
            self._read_method(method, full_name, (*path, _METHOD, i))
            for i, method in enumerate(service.method)
        )
        return Service(
            name=service.name,
            full_name=full_name,
            queue=self._options.get(service.options, f"{_OPTIONS}.queue") or "",
            methods=methods,
            comment=self._comment(path),
            place=self._place(path),
        )

    def _read_method(
        self, method: descriptor_pb2.MethodDescriptorProto, service: str, path: tuple[int, ...]
    ) -> Method:
        info = self._options.get(method.options, "google.longrunning.operation_info")
        http = self._options.get(method.options, "google.api.http")
        return Method(
            name=method.name,
            rpc=f"{self.proto.package}.{method.name}",
            service=service,
            request=self._messages[method.input_type.removeprefix(".")],
            response=self._messages[method.output_type.removeprefix(".")],
            streaming=method.client_streaming or method.server_streaming,
            rule=_rule(self._options.get(method.options, f"{_OPTIONS}.rule")),
            permission=self._options.get(method.options, f"{_OPTIONS}.permission") or "",
            max_request_bytes=self._options.get(method.options, f"{_OPTIONS}.max_request_bytes")
            or 0,
            http=_http(http),
            bodies=tuple(rule.body for rule in (http, *http.additional_bindings)) if http else (),
            response_type=self._full_name(info.response_type) if info else "",
            metadata_type=self._full_name(info.metadata_type) if info else "",
            comment=self._comment(path),
            place=self._place(path),
        )

    def _full_name(self, name: str) -> str:
        # operation_info may name a message of the same package without the package.
        local = f"{self.proto.package}.{name}"
        return local if local in self._messages else name


def _rule(option: Any) -> Rule:
    kind = option.WhichOneof("kind") if option is not None else None
    if kind is None:
        return Rule("missing")
    values: dict[str, Any] = {}
    for field, value in getattr(option, kind).ListFields():
        if field.message_type is not None:
            value = value.seconds * 1_000_000 + value.nanos // 1000
        elif field.name == "retry":
            value = field.enum_type.values_by_number[value].name.removeprefix("RETRY_")
        values[field.name] = value
    if values.get("retry") == "UNSPECIFIED":
        del values["retry"]
    return Rule(kind=kind, **values)


def _http(option: Any) -> tuple[tuple[str, str], ...]:
    if option is None:
        return ()
    pairs = []
    for rule in (option, *option.additional_bindings):
        verb = rule.WhichOneof("pattern")
        if verb == "custom":
            pairs.append((rule.custom.kind, rule.custom.path))
        elif verb is not None:
            pairs.append((verb.upper(), getattr(rule, verb)))
    return tuple(pairs)
