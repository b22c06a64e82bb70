"""The contract as tables: every RPC with what its options say, read from the descriptors.

This is all that the gateway knows of a method. No other module names one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from google.api import http_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from nexpo import registry
from nexpo.options.v1 import options_pb2
from nexpo.options.v1.options_pb2 import Rule

from .content.limits import LIMITS

ANY_OPERATION = "*"


@dataclass(frozen=True)
class Rpc:
    """One method that users can call.

    Attributes:
        name: `package.Method`: the workflow type, and the name of updates on Temporal.
        path: `/package.Service/Method`, as gRPC has it.
        service: Full name of the service.
        method: Name of the method.
        request: Type of its request.
        response: Type of its response.
        streams: Whether it answers with a stream.
        permission: What a caller needs, or PUBLIC.
        rule: What a call does.
        bindings: Its HTTP routes.
        result: Type of the operation's result, for a rule that starts one.
        max_request_bytes: The most that a request may have, on the wire and as JSON.
    """

    name: str
    path: str
    service: str
    method: str
    request: type[Message]
    response: type[Message]
    streams: bool
    permission: str
    rule: Rule
    bindings: tuple[http_pb2.HttpRule, ...]
    result: type[Message] | None
    max_request_bytes: int = LIMITS.request_bytes

    @cached_property
    def kind(self) -> str:
        """Which rule it has: "start", "update", "signal", "query", "read" or "native"."""
        return self.rule.WhichOneof("kind") or "native"

    @property
    def public(self) -> bool:
        """Whether it needs no credential."""
        return self.permission == registry.PUBLIC

    @cached_property
    def call_timeout(self) -> float | None:
        """How long a call may take by the contract, in seconds; None where it does not say."""
        rule = getattr(self.rule, self.kind)
        if "call_timeout" not in rule.DESCRIPTOR.fields_by_name or not rule.HasField(
            "call_timeout"
        ):
            return None
        return float(rule.call_timeout.ToTimedelta().total_seconds())

    @cached_property
    def snake_name(self) -> str:
        """Name of the Python method that serves it natively."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.method).lower()

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names of the request's fields."""
        return frozenset(self.request.DESCRIPTOR.fields_by_name)

    def targets(self, operation_type: str) -> bool:
        """Whether the rule reaches operations of this type."""
        of: str = getattr(self.rule, self.kind).of
        return of == ANY_OPERATION or f"{self.name.rpartition('.')[0]}.{of}" == operation_type


class Contract:
    """Every RPC of the services, by path, and what belongs to it."""

    def __init__(self, rpcs: Iterable[Rpc]) -> None:
        self.rpcs = tuple(rpcs)
        self.by_path = {rpc.path: rpc for rpc in self.rpcs}
        self.by_type = {rpc.name: rpc for rpc in self.rpcs if rpc.kind == "start"}
        self.services = sorted({rpc.service for rpc in self.rpcs})

    @classmethod
    def load(cls) -> Contract:
        """Reads every public service that is installed."""
        return cls(
            rpc
            for service in registry.services()
            if registry.is_public(service)
            for rpc in rpcs_of(service)
        )


def rpcs_of(service: ServiceDescriptor) -> list[Rpc]:
    """What the contract says of each method of a service."""
    return [_rpc(service, method) for method in service.methods]


def _rpc(service: ServiceDescriptor, method: MethodDescriptor) -> Rpc:
    rule = registry.rule(method)
    result = registry.result_type(method).full_name if rule.HasField("start") else ""
    return Rpc(
        name=registry.rpc_name(method),
        path=registry.grpc_path(method),
        service=service.full_name,
        method=method.name,
        request=registry.message_class(method.input_type.full_name),
        response=registry.message_class(method.output_type.full_name),
        streams=method.server_streaming,
        permission=registry.permission(method),
        rule=rule,
        bindings=tuple(registry.http_rules(method)),
        result=registry.message_class(result) if result else None,
        max_request_bytes=method.GetOptions().Extensions[options_pb2.max_request_bytes]
        or LIMITS.request_bytes,
    )
