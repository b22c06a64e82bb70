"""The methods of OperationTaskService, the gateway's own."""

from __future__ import annotations

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import (
    ListOperationTasksRequest,
    ListOperationTasksResponse,
    Progress,
)
from nexpo.operations.v1.operations_service import OperationTaskServiceNatives
from nexpo_runtime.edge.page_size import PageSize
from nexpo_runtime.errors import Fault

from .backend import Criteria, OperationsBackend, Snapshot
from .native import NativeCall
from .pages import PageTokens

_PAGES = PageSize(largest=200)


class OperationTaskMethods(OperationTaskServiceNatives[NativeCall]):
    """Lists what needs a human."""

    def __init__(self, backend: OperationsBackend, pages: PageTokens) -> None:
        self._backend = backend
        self._pages = pages

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
