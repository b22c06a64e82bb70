"""The methods of OperationService and OperationTaskService, the gateway's own.

google.longrunning.Operations is served by the same methods.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container, Sequence
from dataclasses import dataclass

from google.longrunning import operations_pb2 as longrunning
from google.protobuf.empty_pb2 import Empty

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import (
    ListOperationTasksRequest,
    ListOperationTasksResponse,
    Progress,
    WatchOperationRequest,
)
from nexpo_runtime.edge.page_size import PageSize
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.names import OperationName

from ..content.validation import invalid
from ..context import LONGEST_WAIT, CallContext, Caller, seconds
from .backend import Criteria, OperationsBackend, Snapshot
from .filters import parse_filter
from .pages import PageTokens
from .watch import WatchHub

_CALL_SECONDS = 10.0
_PAGES = PageSize(largest=200)
# Clients of gRPC take 4 MiB unless they ask for more.
_LARGEST_ANSWER = 3 * 1024 * 1024

# As the contract's own requests have it; google.longrunning's have no rules.
_LONGEST_NAME = 512


@dataclass(frozen=True, slots=True)
class NativeCall:
    """Who calls a native method, and what came with the call."""

    caller: Caller
    context: CallContext

    def timeout(self, seconds: float = _CALL_SECONDS) -> float:
        """Seconds that the call may take."""
        return self.context.limit(seconds)


class OperationMethods:
    """Reads, follows and ends operations."""

    def __init__(
        self, backend: OperationsBackend, pages: PageTokens, types: Container[str]
    ) -> None:
        self._backend = backend
        self._pages = pages
        self._types = types
        self._hub = WatchHub(backend)
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Ends watches and waits with SHUTTING_DOWN, so that a shutdown need not wait for them."""
        self._closing.set()
        self._hub.close()

    async def get_operation(
        self, request: longrunning.GetOperationRequest, call: NativeCall
    ) -> longrunning.Operation:
        """The operation as it is now."""
        name = named(request.name, call.caller.tenant, "name")
        return (await self._backend.describe(name, call.timeout())).operation

    async def list_operations(
        self, request: longrunning.ListOperationsRequest, call: NativeCall
    ) -> longrunning.ListOperationsResponse:
        """A page of the tenant's operations."""
        tenant = call.caller.tenant
        if request.name not in ("", "operations"):
            raise invalid([FieldViolation("name", 'must be "operations"')])
        criteria = parse_filter(request.filter, tenant, self._types)
        scope = ("operations", tenant, request.filter)
        token = self._pages.open(request.page_token, *scope)
        size = _PAGES.of(request.page_size)
        while True:
            page = await self._backend.list(criteria, size, token, call.timeout())
            operations = [snapshot.operation for snapshot in page.snapshots]
            fitting = _fitting(operations)
            if fitting == len(operations):
                break
            # The next page begins behind a whole one, so a smaller one is asked for.
            size = fitting
        return longrunning.ListOperationsResponse(
            operations=operations,
            next_page_token=self._pages.seal(page.next, *scope),
        )

    async def wait_operation(
        self, request: longrunning.WaitOperationRequest, call: NativeCall
    ) -> longrunning.Operation:
        """The operation once it has ended, or as it is when the time-out is over."""
        name = named(request.name, call.caller.tenant, "name")
        wait = seconds(request.timeout) if request.HasField("timeout") else LONGEST_WAIT
        return (await self.wait(name, call.timeout(min(wait, LONGEST_WAIT)))).operation

    async def wait(self, name: OperationName, timeout: float) -> Snapshot:
        """Waits for the operation's end. Raises: Fault: as the operation failed."""
        snapshot = await self._outcome(name, timeout) if timeout > 0 else None
        if snapshot is None:
            snapshot = await self._backend.describe(name, _CALL_SECONDS)
        if snapshot.fault is not None:
            raise snapshot.fault
        return snapshot

    async def _outcome(self, name: OperationName, timeout: float) -> Snapshot | None:
        outcome = asyncio.ensure_future(self._backend.outcome(name, timeout))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({outcome, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not outcome.done():
                raise Fault(Reason.REASON_SHUTTING_DOWN, "The gateway is shutting down.")
            return outcome.result()
        finally:
            outcome.cancel()
            closing.cancel()

    async def cancel_operation(
        self, request: longrunning.CancelOperationRequest, call: NativeCall
    ) -> Empty:
        """Asks the operation to stop; one that has ended stays as it is."""
        name = named(request.name, call.caller.tenant, "name")
        snapshot = await self._backend.describe(name, call.timeout())
        if snapshot.done:
            return Empty()
        if snapshot.progress.past_pivot:
            raise Fault(
                Reason.REASON_OPERATION_PAST_PIVOT,
                "The operation only goes forward from here, so it cannot be cancelled.",
            )
        await self._backend.cancel(name, call.timeout())
        return Empty()

    async def delete_operation(
        self, request: longrunning.DeleteOperationRequest, call: NativeCall
    ) -> Empty:
        """Forgets an operation that has ended; Temporal takes its time, seconds to a minute."""
        name = named(request.name, call.caller.tenant, "name")
        snapshot = await self._backend.describe(name, call.timeout())
        if not snapshot.done:
            raise Fault(Reason.REASON_OPERATION_RUNNING, "The operation still runs.")
        await self._backend.delete(name, call.timeout())
        return Empty()

    async def watch_operation(
        self, request: WatchOperationRequest, call: NativeCall
    ) -> AsyncIterator[longrunning.Operation]:
        """The operation now, then at every change."""
        name = named(request.name, call.caller.tenant, "name")
        # A name may carry a later run of its chain; one chain has one feed.
        current = await self._backend.describe(name, call.timeout())
        async for snapshot in self._hub.watch(current.name):
            yield snapshot.operation

    async def list_operation_tasks(
        self, request: ListOperationTasksRequest, call: NativeCall
    ) -> ListOperationTasksResponse:
        """The open tasks of the tenant's operations: a page of blocked operations' tasks."""
        tenant = call.caller.tenant
        criteria = Criteria(tenant, states=[Progress.UNDO_BLOCKED, Progress.BLOCKED])
        token = self._pages.open(request.page_token, "tasks", tenant)
        size = _PAGES.of(request.page_size)
        page = await self._backend.list(criteria, size, token, call.timeout())
        # A list does not know why the latest attempt failed; a description does.
        described = [await self._described(snapshot, call.timeout()) for snapshot in page.snapshots]
        return ListOperationTasksResponse(
            # The list may lag behind: one that has ended meanwhile has no open tasks.
            tasks=[task for one in described if not one.done for task in one.progress.tasks],
            next_page_token=self._pages.seal(page.next, "tasks", tenant),
        )

    async def _described(self, snapshot: Snapshot, timeout: float) -> Snapshot:
        """The operation of a list as it is now; as listed, when it is gone since."""
        try:
            return await self._backend.describe(snapshot.name, timeout)
        except Fault as fault:
            if fault.reason != Reason.REASON_OPERATION_NOT_FOUND:
                raise
            return snapshot


def _fitting(operations: Sequence[longrunning.Operation]) -> int:
    """How many of them, from the first, fit into one message; one at least."""
    room = _LARGEST_ANSWER
    for number, operation in enumerate(operations):
        room -= operation.ByteSize()
        if room < 0 and number:
            return number
    return len(operations)


def named(name: str, tenant: str | None, field: str) -> OperationName:
    """The operation that a request names.

    Args:
        name: As the request has it.
        tenant: Whose operations the caller may know of; of everyone when None.
        field: The request's field.

    Raises:
        Fault: INVALID_ARGUMENT: none is named. OPERATION_NOT_FOUND: it cannot be
            the caller's.
    """
    if not name:
        raise invalid([FieldViolation(field, "value is required")])
    if len(name) > _LONGEST_NAME:
        raise _not_found()
    try:
        parsed = OperationName.parse(name)
    except ValueError:
        raise _not_found() from None
    # Another tenant's operation and one that never was look the same.
    if tenant is not None and parsed.tenant != tenant:
        raise _not_found()
    return parsed


def _not_found() -> Fault:
    return Fault(Reason.REASON_OPERATION_NOT_FOUND, "There is no such operation.")
