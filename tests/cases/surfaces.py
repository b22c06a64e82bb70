"""Makes a case's call on a surface as a client would, and says what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import grpc.aio
import httpx
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.rpc import status_pb2

from nexpo import registry
from nexpo_cli.naming import command_names, group_names
from nexpo_dev.stack import Stack
from nexpo_runtime.errors import Fault
from tests.content.values import value_of

_VARIABLE = re.compile(r"\{([\w.]+)(?:=[^{}]*)?\}")
_OF_JSON = {
    "google.protobuf.Struct": "struct_value",
    "google.protobuf.ListValue": "list_value",
    "google.protobuf.Value": "",
}


@dataclass(frozen=True)
class Outcome:
    """The answer's JSON, or a reason and the fields that it names."""

    answer: Any = None
    reason: str = ""
    fields: tuple[str, ...] = ()
    said: str = ""


def methods() -> dict[str, MethodDescriptor]:
    """What users can call, by name."""
    found = (method for method in registry.methods() if registry.permission(method))
    return {method.name: method for method in found}


class Clients:
    """The three surfaces of one stack."""

    def __init__(self, stack: Stack, channel: grpc.aio.Channel, http: httpx.AsyncClient) -> None:
        self._stack = stack
        self._channel = channel
        self._http = http
        self._methods = methods()

    async def call(self, surface: str, call: str, text: str, headers: dict[str, str]) -> Outcome:
        """Makes the call.

        Args:
            surface: "grpc", "rest" or "cli".
            call: A method's name, or raw HTTP or words of the command line.
            text: The request as JSON, or "hex:" and the message's bytes; else what goes in raw.
            headers: Headers or metadata.
        """
        method = self._methods.get(call)
        if surface == "grpc":
            assert method is not None, f"no method {call}"
            return await self._grpc(method, text, headers)
        if surface == "rest":
            verb, target, body = (
                (*call.split(" ", 1), text) if method is None else rest_of(method, text)
            )
            return await self._rest(verb, target, body, headers)
        words = call.split()[1:] if method is None else [*command(method), "--json", "-"]
        return await self._cli(words, text)

    async def _grpc(self, method: MethodDescriptor, text: str, headers: dict[str, str]) -> Outcome:
        data = (
            bytes.fromhex(text.removeprefix("hex:"))
            if text.startswith("hex:")
            else message_of(method.input_type, json.loads(text)).SerializeToString()
        )
        metadata = [("authorization", f"Bearer {self._stack.api_key}"), *headers.items()]
        path = registry.grpc_path(method)
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        try:
            answer = await call(data, metadata=grpc.aio.Metadata(*metadata), timeout=90)
        except grpc.aio.AioRpcError as error:
            return _refused(error)
        response = registry.message_class(method.output_type.full_name).FromString(answer)
        return Outcome(json_format.MessageToDict(response))

    async def _rest(self, verb: str, target: str, body: str, headers: dict[str, str]) -> Outcome:
        known = {"authorization": f"Bearer {self._stack.api_key}"} | headers
        answer = await self._http.request(
            verb,
            self._stack.gateway.url + target,
            content=body.encode(),
            headers=[(name.encode(), value.encode()) for name, value in known.items()],
        )
        if answer.status_code == 200:
            return Outcome(answer.json())
        problem = answer.json()
        fields = tuple(error["field"] for error in problem.get("errors", ()))
        return Outcome(reason=problem["reason"], fields=fields, said=answer.text)

    async def _cli(self, words: list[str], text: str) -> Outcome:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nexpo_cli", *words, "-o", "json"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "NEXPO_ADDRESS": self._stack.gateway.grpc_address,
                "NEXPO_API_KEY": self._stack.api_key,
            },
        )
        out, err = await process.communicate(text.encode())
        if process.returncode == 0:
            return Outcome(json.loads(out))
        said = err.decode().strip()
        if process.returncode == 2:
            return Outcome(reason="USAGE", said=said)
        found = json.loads(said.splitlines()[-1])["error"]
        fields = tuple(violation["field"] for violation in found.get("fields", ()))
        return Outcome(reason=found.get("reason", ""), fields=fields, said=said)


def rest_of(method: MethodDescriptor, text: str) -> tuple[str, str, str]:
    """The HTTP verb, target and body of a call of a method."""
    rule = registry.http_rules(method)[0]
    verb = rule.WhichOneof("pattern") or "get"
    template: str = getattr(rule, verb)
    names = _VARIABLE.findall(template)
    content: dict[str, Any] = json.loads(text) if names or not rule.body else {}

    def filled(match: re.Match[str]) -> str:
        fixed = match[0].partition("=")[2].rstrip("}")
        value = str(content.pop(match[1], ""))
        return fixed if fixed and "*" not in fixed else quote(value, safe="/~" if fixed else "~")

    path = _VARIABLE.sub(filled, template)
    if rule.body:
        return verb.upper(), path, json.dumps(content) if names else text
    query = urlencode(content, doseq=True)
    return verb.upper(), f"{path}?{query}" if query else path, ""


def command(method: MethodDescriptor) -> list[str]:
    """The words of the method on the command line."""
    services = [service for service in registry.services() if registry.is_public(service)]
    service = method.containing_service
    return [group_names(services)[service.full_name], command_names(service)[method.name]]


def message_of(kind: Descriptor, plain: dict[str, Any]) -> Any:
    """A message field by field, with values that json_format would refuse."""
    message: Any = registry.message_class(kind.full_name)()
    for name, value in plain.items():
        field = kind.fields_by_name.get(name) or kind.fields_by_camelcase_name[name]
        if field.is_repeated:
            getattr(message, field.name).extend(_one(field, item) for item in value)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(_one(field, value))
            getattr(message, field.name).SetInParent()
        else:
            setattr(message, field.name, _one(field, value))
    return message


def _one(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is None:
        if field.enum_type is not None and isinstance(value, str):
            return field.enum_type.values_by_name[value].number
        return value
    if kind.full_name in _OF_JSON:
        part = _OF_JSON[kind.full_name]
        return getattr(value_of(value), part) if part else value_of(value)
    if isinstance(value, dict):
        return message_of(kind, value)
    return json_format.ParseDict(value, registry.message_class(kind.full_name)())


def _refused(error: grpc.aio.AioRpcError) -> Outcome:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            fault = Fault.from_status(status_pb2.Status.FromString(value))
            return Outcome(
                reason=fault.name,
                fields=tuple(violation.field for violation in fault.fields),
                said=f"{fault} {fault.fields}",
            )
    return Outcome(reason=f"no reason: {error.code()}", said=str(error.details()))
