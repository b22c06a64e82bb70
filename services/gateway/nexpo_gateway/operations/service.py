"""The methods of OperationService, the gateway's own.

google.longrunning.Operations is served by the same methods.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from google.longrunning import operations_pb2 as longrunning
from google.protobuf.empty_pb2 import Empty

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import WatchOperationRequest
from nexpo.operations.v1.operations_service import OperationServiceNatives
from nexpo_runtime.edge.page_size import PageSize
from nexpo_runtime.errors import Fault, FieldViolation

from ..content.validation import invalid
from ..context import LONGEST_WAIT, seconds
from ..contract import Contract
from .backend import OperationsBackend
from .filters import parse_filter
from .native import NativeCall, named
from .pages import PageTokens
from .waiting import Waiting

_PAGES = PageSize(largest=200)
# Clients of gRPC take 4 MiB unless they ask for more.
_LARGEST_ANSWER = 3 * 1024 * 1024


class OperationMethods(OperationServiceNatives[NativeCall]):
    """Reads, follows and ends operations."""

    def __init__(
        self, backend: OperationsBackend, waiting: Waiting, pages: PageTokens, contract: Contract
    ) -> None:
        self._backend = backend
        self._waiting = waiting
        self._pages = pages
        self._types = contract.by_type

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
        return (await self._waiting.wait(name, call.timeout(min(wait, LONGEST_WAIT)))).operation

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
        async for snapshot in self._waiting.watch(current.name):
            yield snapshot.operation


def _fitting(operations: Sequence[longrunning.Operation]) -> int:
    """How many of them, from the first, fit into one message; one at least."""
    room = _LARGEST_ANSWER
    for number, operation in enumerate(operations):
        room -= operation.ByteSize()
        if room < 0 and number:
            return number
    return len(operations)
