"""The gateway, called: one channel, and errors that say what is wrong with the way there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import code_pb2

from nexpo.client import Caller, NexpoError
from nexpo.errors.v1 import errors_pb2

from . import __version__
from .connection import Connection
from .contract import registry
from .exits import Exit, UsageError

__all__ = ["Gateway", "NexpoError", "call_seconds", "exit_of", "opened"]

# Beyond what the contract allows the gateway, so that its answer is heard, not our own clock.
_MARGIN = 5.0
_DEFAULT_SECONDS = 10.0
_LARGEST_ANSWER = 64 * 1024 * 1024


class Gateway:
    """Calls methods of the contract.

    Attributes:
        connection: Where it is.
    """

    def __init__(self, connection: Connection, channel: grpc.aio.Channel) -> None:
        self.connection = connection
        key = connection.api_key
        self._caller = Caller(channel, [("authorization", f"Bearer {key}")] if key else [])

    async def call(self, method: MethodDescriptor, request: Message, seconds: float) -> Message:
        """The answer of a method that has one. Raises: NexpoError."""
        path, kind = registry.grpc_path(method), _response(method)
        return await self._caller.unary(path, request, kind, seconds)

    def stream(
        self, method: MethodDescriptor, request: Message, seconds: float | None
    ) -> AsyncIterator[Message]:
        """The answers of a method that streams. Raises: NexpoError."""
        return self._caller.stream(registry.grpc_path(method), request, _response(method), seconds)


@contextlib.asynccontextmanager
async def opened(connection: Connection) -> AsyncIterator[Gateway]:
    """The gateway, for the block.

    Raises:
        UsageError: The file of certificates cannot be read.
    """
    options: list[tuple[str, str | int]] = [
        ("grpc.primary_user_agent", f"nexpo-cli/{__version__}"),
        ("grpc.max_receive_message_length", _LARGEST_ANSWER),
        # A watch may be silent for hours: only so is a dead connection noticed.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.enable_http_proxy", 0 if connection.local else 1),
    ]
    if connection.tls:
        credentials = grpc.ssl_channel_credentials(_certificates(connection.ca))
        channel = grpc.aio.secure_channel(connection.address, credentials, options)
    else:
        channel = grpc.aio.insecure_channel(connection.address, options)
    try:
        yield Gateway(connection, channel)
    finally:
        await channel.close()


def call_seconds(method: MethodDescriptor) -> float:
    """How long a call of the method may take when the user does not say."""
    rule = registry.rule(method)
    part = getattr(rule, rule.WhichOneof("kind") or "native")
    if "call_timeout" in part.DESCRIPTOR.fields_by_name and part.HasField("call_timeout"):
        return float(part.call_timeout.ToTimedelta().total_seconds()) + _MARGIN
    return _DEFAULT_SECONDS + _MARGIN


def exit_of(error: NexpoError) -> Exit:
    """The exit code for a call that failed."""
    if not error.reason:
        away = error.code in (code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED)
        return Exit.UNAVAILABLE if away else Exit.FAILED
    reasons = errors_pb2.Reason.DESCRIPTOR.values_by_name
    value = reasons.get(f"REASON_{error.reason}")
    # A reason of a newer contract is judged by its code.
    if value is None:
        return Exit.UNAVAILABLE if error.code == code_pb2.UNAVAILABLE else Exit.FAILED
    entry = value.GetOptions().Extensions[errors_pb2.entry]
    return Exit.UNAVAILABLE if entry.retryable else Exit.FAILED


def _response(method: MethodDescriptor) -> type[Message]:
    return registry.message_class(method.output_type.full_name)


def _certificates(file: str) -> bytes | None:
    if not file:
        return None
    try:
        return Path(file).expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"--ca: {file} cannot be read: {error.strerror}.") from None
