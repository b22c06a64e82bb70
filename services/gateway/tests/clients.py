"""Clients of the tests: gRPC by path, HTTP by raw bytes; errors in one form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from google.longrunning import operations_pb2 as longrunning
from google.protobuf.message import Message
from google.rpc import status_pb2

from nexpo import registry
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault

from .parcels.contract import PACKAGE, message

PARCELS = f"/{PACKAGE}.ParcelService/"
OPERATIONS = "/nexpo.operations.v1.OperationService/"
LONGRUNNING = "/google.longrunning.Operations/"


@dataclass(eq=False)
class Refused(Exception):
    """A call that failed, on whichever surface."""

    status: int
    reason: str
    message: str
    fields: tuple[str, ...] = ()
    retry_after: float | None = None
    raw: str = ""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Gateway:
    """Calls a gateway, as the credential `key` unless a call says otherwise."""

    grpc_port: int
    http_port: int
    key: str = "acme-key"
    trailers: dict[str, str] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self.channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{self.grpc_port}",
            options=[("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)],
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.channel.close(None)

    def metadata(self, key: str | None, headers: dict[str, str]) -> list[tuple[str, str]]:
        key = self.key if key is None else key
        return [*headers.items(), *([("authorization", f"Bearer {key}")] * bool(key))]

    async def call(
        self,
        path: str,
        request: Message | bytes,
        response: type[Message],
        *,
        key: str | None = None,
        timeout: float = 60,
        **headers: str,
    ) -> Any:
        """A unary gRPC call. Raises: Refused."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        metadata = self.metadata(key, {k.replace("_", "-"): v for k, v in headers.items()})
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(path)
        call = method(data, metadata=grpc.aio.Metadata(*metadata), timeout=timeout)
        try:
            answer: bytes = await call
        except grpc.aio.AioRpcError as error:
            raise refused(error) from None
        self.trailers = {k: str(v) for k, v in await call.trailing_metadata()}
        return response.FromString(answer)

    async def parcel(self, method: str, key: str | None = None, **fields: Any) -> Any:
        """A call of ParcelService; fields beginning with `_` are options of the call."""
        options = {k[1:]: v for k, v in fields.items() if k.startswith("_")}
        fields = {k: v for k, v in fields.items() if not k.startswith("_")}
        kind: type[Message] = longrunning.Operation
        starts = method in ("SendParcel", "ReturnParcel", "KeepParcel")
        if not starts:
            kind = registry.message_class(f"{PACKAGE}.{method}Response")
        request = message("SendParcelRequest" if starts else f"{method}Request", **fields)
        return await self.call(PARCELS + method, request, kind, key=key, **options)

    async def send(self, **fields: Any) -> longrunning.Operation:
        """Starts an operation."""
        operation: longrunning.Operation = await self.parcel("SendParcel", **fields)
        return operation

    async def get(self, name: str, key: str | None = None) -> longrunning.Operation:
        """The operation now."""
        request = longrunning.GetOperationRequest(name=name)
        answer: longrunning.Operation = await self.call(
            OPERATIONS + "GetOperation", request, longrunning.Operation, key=key
        )
        return answer

    async def wait(self, name: str, seconds: float = 60, **options: Any) -> longrunning.Operation:
        """The operation once it has ended. Raises: Refused: as it failed."""
        request = longrunning.WaitOperationRequest(name=name)
        request.timeout.FromNanoseconds(int(seconds * 1e9))
        answer: longrunning.Operation = await self.call(
            OPERATIONS + "WaitOperation", request, longrunning.Operation, **options
        )
        return answer

    async def watch(
        self, name: str, key: str | None = None
    ) -> AsyncIterator[longrunning.Operation]:
        """The operation's frames."""
        request = longrunning.GetOperationRequest(name=name)  # the same shape on the wire
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(
            OPERATIONS + "WatchOperation"
        )
        metadata = grpc.aio.Metadata(*self.metadata(key, {}))
        call = method(request.SerializeToString(), metadata=metadata)
        try:
            async for frame in call:
                yield longrunning.Operation.FromString(frame)
        except grpc.aio.AioRpcError as error:
            raise refused(error) from None
        finally:
            call.cancel()

    async def http(
        self,
        verb: str,
        target: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        key: str | None = None,
        **headers: str,
    ) -> Answer:
        """An HTTP request whose target goes out as it is."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body or b""
        lines = [f"{verb} {target} HTTP/1.1", "host: 127.0.0.1", "connection: close"]
        framed = body is not None and "transfer-encoding" not in headers
        lines += [f"content-length: {len(data)}"] * framed
        more = {k.replace("_", "-"): v for k, v in headers.items()}
        lines += [f"{name}: {value}" for name, value in self.metadata(key, more)]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.http_port)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + data)
            return await read_answer(reader)
        finally:
            writer.close()

    async def rest(self, verb: str, target: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a REST call. Raises: Refused."""
        answer = await self.http(verb, target, body, **options)
        if answer.status != 200:
            raise refused_by(answer)
        return answer.json


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Reads one HTTP answer to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.read()
    if headers.get("transfer-encoding") == "chunked":
        body = _unchunked(body)
    return Answer(int(head[0].split()[1]), headers, body)


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :]
    return whole


def refused(error: grpc.aio.AioRpcError) -> Refused:
    """A gRPC error with its details."""
    raw = repr(error.trailing_metadata()) + str(error.details())
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            fault = Fault.from_status(status_pb2.Status.FromString(value))
            after = fault.retry_after.total_seconds() if fault.retry_after else None
            fields = tuple(violation.field for violation in fault.fields)
            return Refused(error.code().value[0], fault.name, fault.message, fields, after, raw)
    return Refused(error.code().value[0], "", str(error.details()), raw=raw)


def refused_by(answer: Answer) -> Refused:
    """A problem of REST."""
    problem = answer.json
    assert answer.headers["content-type"] == "application/problem+json"
    fields = tuple(error["field"] for error in problem.get("errors", ()))
    after = problem.get("retry_after")
    raw = answer.body.decode()
    return Refused(answer.status, problem["reason"], problem["detail"], fields, after, raw)


def progress_of(operation: longrunning.Operation) -> Progress:
    """The operation's progress."""
    progress = Progress()
    assert operation.metadata.Unpack(progress)
    return progress


def result_of(operation: longrunning.Operation) -> Any:
    """The parcel's result."""
    result = message("SendParcelResponse")
    assert operation.response.Unpack(result)
    return result
