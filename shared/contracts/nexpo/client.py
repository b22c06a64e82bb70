"""What every generated client shares: calls, operations that run, and their errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import Generic, TypeVar, cast

import grpc
import grpc.aio
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from nexpo.operations.v1 import operations_pb2 as progress_pb2

ResponseT = TypeVar("ResponseT", bound=Message)
AnswerT = TypeVar("AnswerT", bound=Message)

Metadata = Sequence[tuple[str, str | bytes]]

_OPERATIONS = "/nexpo.operations.v1.OperationService"
_DETAILS = "grpc-status-details-bin"
# One WaitOperation call lasts at most so long; a longer wait is several calls.
_WAIT_SECONDS = 30.0
# How much longer the call may take than the waiting in it.
_GRACE_SECONDS = 10.0


class NexpoError(Exception):
    """An error of the catalogue, from a call or from an operation that failed.

    Attributes:
        status: All of it, with its details.
        reason: Why, such as EMAIL_TAKEN; empty when the call never arrived.
        hint: What can be done about it, or empty.
        fields: What is wrong with which field, by its path in the request.
    """

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status
        self.reason = ""
        self.hint = ""
        self.fields: dict[str, str] = {}
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                self.reason, self.hint = info.reason, info.metadata.get("hint", "")
            elif detail.Unpack(bad):
                self.fields = {v.field: v.description for v in bad.field_violations}

    @property
    def code(self) -> int:
        """The google.rpc.Code."""
        return self.status.code

    def __str__(self) -> str:
        return f"{self.reason}: {self.status.message}" if self.reason else self.status.message

    @classmethod
    def from_call(cls, error: grpc.aio.AioRpcError) -> NexpoError:
        """The error that a failed gRPC call carries."""
        for key, value in error.trailing_metadata() or ():
            if key == _DETAILS and isinstance(value, bytes):
                return cls(status_pb2.Status.FromString(value))
        code: int = error.code().value[0]
        return cls(status_pb2.Status(code=code, message=error.details() or error.code().name))


class Caller:
    """Makes the calls of a client: a channel and what goes with every call."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata) -> None:
        self._channel = channel
        self._metadata = tuple(metadata)
        # Making one takes a tenth of a call.
        self._unary: dict[
            tuple[str, type[Message]], grpc.aio.UnaryUnaryMultiCallable[Message, Message]
        ] = {}

    async def unary(
        self, path: str, request: Message, response: type[AnswerT], timeout: float
    ) -> AnswerT:
        """Calls a method that answers once.

        Raises:
            NexpoError: The call failed.
        """
        call = self._unary.get((path, response))
        if call is None:
            call = self._channel.unary_unary(path, _serialize, response.FromString)
            self._unary[path, response] = call
        try:
            return cast(AnswerT, await call(request, timeout=timeout, metadata=self._metadata))
        except grpc.aio.AioRpcError as error:
            raise NexpoError.from_call(error) from None

    async def stream(
        self, path: str, request: Message, response: type[AnswerT], timeout: float | None
    ) -> AsyncIterator[AnswerT]:
        """Calls a method that answers with a stream.

        Raises:
            NexpoError: The call failed, at its start or later.
        """
        call: grpc.aio.UnaryStreamMultiCallable[Message, AnswerT] = self._channel.unary_stream(
            path, _serialize, response.FromString
        )
        stream = call(request, timeout=timeout, metadata=self._metadata)
        try:
            async for answer in stream:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise NexpoError.from_call(error) from None
        finally:
            stream.cancel()


class OperationHandle(Generic[ResponseT]):
    """An operation: durable, so its name alone finds it again, from anywhere.

    Attributes:
        name: The operation's name.
    """

    def __init__(self, caller: Caller, name: str, response: type[ResponseT]) -> None:
        self.name = name
        self._caller = caller
        self._response = response

    async def result(self, timeout: float | None = None) -> ResponseT:
        """Waits for the end of the operation and returns its result.

        Args:
            timeout: Seconds; without one it waits as long as it takes.

        Raises:
            NexpoError: The operation failed, or the call did.
            TimeoutError: The operation still runs; ask again later.
        """
        end = None if timeout is None else monotonic() + timeout
        while True:
            seconds = _WAIT_SECONDS if end is None else min(_WAIT_SECONDS, end - monotonic())
            request = operations_pb2.WaitOperationRequest(name=self.name)
            request.timeout.FromNanoseconds(max(0, int(seconds * 1e9)))
            operation = await self._caller.unary(
                f"{_OPERATIONS}/WaitOperation",
                request,
                operations_pb2.Operation,
                max(0.0, seconds) + _GRACE_SECONDS,
            )
            if operation.done:
                return result_of(operation, self._response)
            if end is not None and monotonic() >= end:
                raise TimeoutError(f"{self.name} still runs after {timeout} seconds")

    async def operation(self) -> operations_pb2.Operation:
        """The operation as it is now.

        Raises:
            NexpoError: The call failed.
        """
        request = operations_pb2.GetOperationRequest(name=self.name)
        path = f"{_OPERATIONS}/GetOperation"
        return await self._caller.unary(path, request, operations_pb2.Operation, _GRACE_SECONDS)

    async def progress(self) -> progress_pb2.Progress:
        """How far the operation is now.

        Raises:
            NexpoError: The call failed.
        """
        return progress_of(await self.operation())

    async def watch(self, timeout: float | None = None) -> AsyncIterator[progress_pb2.Progress]:
        """Streams the operation's progress: as it is, then every change, to its end.

        Raises:
            NexpoError: The call failed.
        """
        request = progress_pb2.WatchOperationRequest(name=self.name)
        path = f"{_OPERATIONS}/WatchOperation"
        async for operation in self._caller.stream(
            path, request, operations_pb2.Operation, timeout
        ):
            yield progress_of(operation)

    async def cancel(self) -> None:
        """Asks the operation to stop and undo what it did; does not wait for it.

        Raises:
            NexpoError: The call failed, or the operation can no longer be cancelled.
        """
        request = operations_pb2.CancelOperationRequest(name=self.name)
        path = f"{_OPERATIONS}/CancelOperation"
        await self._caller.unary(path, request, empty_pb2.Empty, _GRACE_SECONDS)


def progress_of(operation: operations_pb2.Operation) -> progress_pb2.Progress:
    """The progress that an operation carries; an empty one when it carries none."""
    progress = progress_pb2.Progress()
    operation.metadata.Unpack(progress)
    return progress


def result_of(operation: operations_pb2.Operation, response: type[ResponseT]) -> ResponseT:
    """The result of an operation that has ended.

    Raises:
        NexpoError: It ended with an error.
        TypeError: Its result is another message than `response`.
    """
    if operation.HasField("error"):
        raise NexpoError(operation.error)
    result = response()
    if not operation.response.Unpack(result):
        raise TypeError(
            f"{operation.name} ended with {operation.response.type_url},"
            f" not with {response.DESCRIPTOR.full_name}"
        )
    return result


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
