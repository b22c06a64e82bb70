"""The same call on three surfaces: gRPC by reflection, REST, and the command line.

None of them knows the contract beforehand: gRPC's client asks the server for the
descriptors, REST's the paths are the test's, and the command line runs on the
generated package.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import httpx
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.contract_extension.extended import ExtendedGateway, environment

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One call, as each surface is asked for it.

    Attributes:
        service: Full name of the service.
        method: Name of the method.
        verb: HTTP verb.
        path: HTTP path.
        command: Words of the command line.
        request: The request; what stands in `path` or `command` too.
        in_path: Fields that stand in the path.
    """

    service: str
    method: str
    verb: str
    path: str
    command: tuple[str, ...]
    request: Json
    in_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused(Exception):
    """A call that failed: what every surface says of it."""

    reason: str
    message: str
    fields: tuple[tuple[str, str], ...]
    hint: str


class Surface(Protocol):
    """One way to call the gateway."""

    def call(self, call: Call, key: str = "all-key") -> Json:
        """The answer as JSON. Raises: Refused."""


class Grpc:
    """gRPC, with no more than what the server's reflection tells."""

    def __init__(self, gateway: ExtendedGateway) -> None:
        self._channel = grpc.insecure_channel(gateway.grpc_address)
        self.database = ProtoReflectionDescriptorDatabase(self._channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def call(self, call: Call, key: str = "all-key") -> Json:
        method: MethodDescriptor = self.pool.FindServiceByName(call.service).FindMethodByName(
            call.method
        )
        request = message_factory.GetMessageClass(method.input_type)()
        json_format.ParseDict(call.request, request)
        answer = message_factory.GetMessageClass(method.output_type)
        stub = self._channel.unary_unary(
            f"/{call.service}/{call.method}", type(request).SerializeToString, answer.FromString
        )
        try:
            response = stub(request, metadata=(("authorization", f"Bearer {key}"),), timeout=60)
        except grpc.RpcError as error:
            raise _refused_by(error) from None
        found: Json = json_format.MessageToDict(response, descriptor_pool=self.pool)
        return found


class Rest:
    """REST."""

    def __init__(self, gateway: ExtendedGateway) -> None:
        self._url = gateway.url

    def call(self, call: Call, key: str = "all-key") -> Json:
        rest = {name: value for name, value in call.request.items() if name not in call.in_path}
        query, body = (rest, None) if call.verb == "GET" else (None, rest)
        answer = httpx.request(
            call.verb,
            self._url + call.path,
            params=query,
            json=body,
            headers={"authorization": f"Bearer {key}"},
            timeout=20,
            trust_env=False,
        )
        found: Json = answer.json()
        if answer.status_code == httpx.codes.OK:
            return found
        fields = tuple((e["field"], e["description"]) for e in found.get("errors", ()))
        raise Refused(found["reason"], found["detail"], fields, found["hint"])


class Cli:
    """The command line, of the extended contract."""

    def __init__(self, gateway: ExtendedGateway) -> None:
        self._gateway = gateway

    def call(self, call: Call, key: str = "all-key") -> Json:
        flags = [
            f"--{name.replace('_', '-')}={value}"
            for name, value in call.request.items()
            if name not in call.in_path
        ]
        done = self.run(*call.command, *flags, "--output", "json", key=key)
        if done.returncode == 0:
            found: Json = json.loads(done.stdout)
            return found
        error = json.loads(done.stderr.splitlines()[-1])["error"]
        fields = tuple((e["field"], e["description"]) for e in error.get("fields", ()))
        raise Refused(error["reason"], error["message"], fields, error["hint"])

    def run(self, *words: str, key: str = "all-key") -> subprocess.CompletedProcess[str]:
        """Runs `nexpo` with these words."""
        reach = {"NEXPO_ADDRESS": self._gateway.grpc_address, "NEXPO_API_KEY": key}
        return subprocess.run(
            [sys.executable, "-m", "nexpo_cli", *words],
            env={**environment(self._gateway.root), **reach},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def _refused_by(error: grpc.RpcError) -> Refused:
    assert isinstance(error, grpc.Call)
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            for detail in status.details:
                assert detail.Unpack(info) or detail.Unpack(bad) or detail.type_url
            fields = tuple((v.field, v.description) for v in bad.field_violations)
            return Refused(info.reason, status.message, fields, info.metadata["hint"])
    raise AssertionError(f"an error without details: {error}")
