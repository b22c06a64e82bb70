"""Walks the contract: services, methods, what their options say, message classes.

Import this, not the descriptors: it imports annotations and every message type
first, so that no option stays invisible and every Any can be opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import cast

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.message import Message

from nexpo import modules
from nexpo.options.v1 import options_pb2

PUBLIC = "PUBLIC"
PROTOCOL = options_pb2.DESCRIPTOR.GetOptions().Extensions[options_pb2.worker_protocol]
"""The names and figures that processes share: docs/reference/worker-protocol.md."""


def services() -> Iterator[ServiceDescriptor]:
    """Every service of the contract, by file and in the order of the proto."""
    for file in modules.FILES:
        yield from file.services_by_name.values()


def methods() -> Iterator[MethodDescriptor]:
    """Every RPC of the contract."""
    for service in services():
        yield from service.methods


@cache
def _by_rpc() -> dict[str, MethodDescriptor]:
    return {rpc_name(method): method for method in methods()}


def rpc_name(method: MethodDescriptor) -> str:
    """The RPC's full name, nexpo.users.v1.OnboardUser: also its type on Temporal."""
    return f"{method.containing_service.file.package}.{method.name}"


def grpc_path(method: MethodDescriptor) -> str:
    """The path of a gRPC call: /nexpo.users.v1.UserService/OnboardUser."""
    return f"/{method.containing_service.full_name}/{method.name}"


def method(rpc: str) -> MethodDescriptor:
    """The method of a full RPC name.

    Raises:
        KeyError: The contract has no such RPC.
    """
    return _by_rpc()[rpc]


def rule(method: MethodDescriptor) -> options_pb2.Rule:
    """What a call of the method does; `WhichOneof("kind")` tells which part is set."""
    return method.GetOptions().Extensions[options_pb2.rule]


def retry_policy(retry: options_pb2.Retry.ValueType) -> options_pb2.RetryPolicy:
    """The figures of a named retry behaviour.

    Raises:
        KeyError: The contract gives it none.
    """
    value = options_pb2.Retry.DESCRIPTOR.values_by_number[retry]
    options = value.GetOptions()
    if not options.HasExtension(options_pb2.retry_policy):
        raise KeyError(value.name)
    return options.Extensions[options_pb2.retry_policy]


def permission(method: MethodDescriptor) -> str:
    """The permission that a caller needs, or PUBLIC; empty for activities."""
    return method.GetOptions().Extensions[options_pb2.permission]


def queue(service: ServiceDescriptor) -> str:
    """The task queue of a service of activities; empty for the others."""
    return service.GetOptions().Extensions[options_pb2.queue]


def is_public(service: ServiceDescriptor) -> bool:
    """Whether users can call the service: all but services of activities."""
    return not queue(service)


def http_rules(method: MethodDescriptor) -> list[HttpRule]:
    """The method's REST routes, the main one first; empty when it has none."""
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return []
    main = options.Extensions[annotations_pb2.http]
    return [main, *main.additional_bindings]


def result_type(method: MethodDescriptor) -> Descriptor:
    """The message that the operation of a start RPC ends with.

    Raises:
        KeyError: The method begins no operation.
    """
    info = method.GetOptions().Extensions[operations_pb2.operation_info]
    name = info.response_type
    local = f"{method.containing_service.file.package}.{name}"
    try:
        return descriptor_pool.Default().FindMessageTypeByName(local)
    except KeyError:
        return descriptor_pool.Default().FindMessageTypeByName(name)


def start_fields() -> Iterator[FieldDescriptor]:
    """The fields of every request that begins an operation."""
    for method in methods():
        if rule(method).HasField("start"):
            yield from method.input_type.fields


def sensitive(field: FieldDescriptor) -> options_pb2.Sensitive.ValueType:
    """How a field's value is protected."""
    return field.GetOptions().Extensions[options_pb2.sensitive]


def protected_as(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field that takes the protected value of this one; None where nothing is replaced."""
    name = field.GetOptions().Extensions[options_pb2.protected_as]
    return _message(field).fields_by_name[name] if name else None


@cache
def unprotected(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field whose protected value this one takes; None for a field that callers fill."""
    return next((f for f in _message(field).fields if protected_as(f) is field), None)


def _message(field: FieldDescriptor) -> Descriptor:
    return cast(Descriptor, field.containing_type)


def search_attribute(field: FieldDescriptor) -> str:
    """The search attribute that the field becomes, or empty."""
    return field.GetOptions().Extensions[options_pb2.search_attribute]


def message_class(full_name: str) -> type[Message]:
    """The class of a message by its full name.

    Raises:
        KeyError: No such message is known.
    """
    descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
    return message_factory.GetMessageClass(descriptor)
