"""Carries the signed tenant through every call of Temporal, and refuses without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from temporalio import client, worker, workflow
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError

from ..errors import Fault
from ..failures import to_application_error
from ..tenant import HEADER, Signer, acting_tenant

_Headers = Mapping[str, Payload]


class TenantInterceptor(client.Interceptor, worker.Interceptor):
    """Given to a client: signs its calls; its workers verify, and hand on to what
    their workflows call.

    Args:
        signer: Holds the keys.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:
        """Signs what the client starts and sends."""
        return _ClientOutbound(next, self._signer)

    def workflow_interceptor_class(
        self, input: worker.WorkflowInterceptorClassInput
    ) -> type[worker.WorkflowInboundInterceptor]:
        """Verifies what reaches a workflow; a class with the keys in it, as the SDK wants."""
        signer = self._signer

        class Inbound(_WorkflowInbound):
            _signer = signer

        return Inbound


class _ClientOutbound(client.OutboundInterceptor):
    def __init__(self, next: client.OutboundInterceptor, signer: Signer) -> None:
        super().__init__(next)
        self._signer = signer

    def _signed(self, headers: _Headers, workflow_id: str) -> _Headers:
        return {**headers, HEADER: self._signer.header(workflow_id, acting_tenant())}

    async def start_workflow(
        self, input: client.StartWorkflowInput
    ) -> client.WorkflowHandle[Any, Any]:
        input.headers = self._signed(input.headers, input.id)
        return await super().start_workflow(input)

    async def query_workflow(self, input: client.QueryWorkflowInput) -> Any:
        input.headers = self._signed(input.headers, input.id)
        return await super().query_workflow(input)

    async def start_workflow_update(
        self, input: client.StartWorkflowUpdateInput
    ) -> client.WorkflowUpdateHandle[Any]:
        input.headers = self._signed(input.headers, input.id)
        return await super().start_workflow_update(input)

    async def start_update_with_start_workflow(
        self, input: client.StartWorkflowUpdateWithStartInput
    ) -> client.WorkflowUpdateHandle[Any]:
        start, update = input.start_workflow_input, input.update_workflow_input
        start.headers = self._signed(start.headers, start.id)
        update.headers = self._signed(update.headers, start.id)
        return await super().start_update_with_start_workflow(input)


class _WorkflowInbound(worker.WorkflowInboundInterceptor):
    _signer: Signer

    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_WorkflowOutbound(outbound, self._signer))

    def _verify(self, headers: _Headers) -> None:
        """Raises: ApplicationError: Not retryable; ends what was called, not its worker."""
        try:
            self._signer.verified(headers, workflow.info().workflow_id)
        except Fault as fault:
            raise to_application_error(fault) from None

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        try:
            self._verify(input.headers)
        except ApplicationError as refused:
            if workflow.unsafe.is_replaying():
                # It was accepted before, so a key is missing here: failing the workflow would
                # skip its undo. The task fails, and goes on once the key is back.
                raise RuntimeError("the tenant's signature cannot be verified any more") from None
            raise refused
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:
        # Nobody of ours sends one: what the contract calls a signal is an update. Raising
        # would fail the whole workflow, so whoever reaches Temporal could end it.
        # No %-arguments: the SDK may append the workflow id, which can hold a percent sign.
        workflow.logger.warning(f"signal dropped: {input.signal}")

    async def handle_query(self, input: worker.HandleQueryInput) -> Any:
        if not input.query.startswith("__"):  # the SDK's own, as the Web UI's stack trace
            self._verify(input.headers)
        return await super().handle_query(input)

    def handle_update_validator(self, input: worker.HandleUpdateInput) -> None:
        self._verify(input.headers)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:
        self._verify(input.headers)  # an update without a validator comes only here
        return await super().handle_update_handler(input)


class _WorkflowOutbound(worker.WorkflowOutboundInterceptor):
    def __init__(self, next: worker.WorkflowOutboundInterceptor, signer: Signer) -> None:
        super().__init__(next)
        self._signer = signer

    def _handed_on(self, headers: _Headers, workflow_id: str | None = None) -> _Headers:
        info = workflow.info()
        if workflow_id is None or workflow_id == info.workflow_id:
            return {**headers, HEADER: info.headers[HEADER]}
        tenant = self._signer.verified(info.headers, info.workflow_id)
        return {**headers, HEADER: self._signer.header(workflow_id, tenant)}

    def start_activity(self, input: worker.StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = self._handed_on(input.headers)
        return super().start_activity(input)

    def start_local_activity(
        self, input: worker.StartLocalActivityInput
    ) -> workflow.ActivityHandle[Any]:
        input.headers = self._handed_on(input.headers)
        return super().start_local_activity(input)

    async def start_child_workflow(
        self, input: worker.StartChildWorkflowInput
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        input.headers = self._handed_on(input.headers, input.id)
        return await super().start_child_workflow(input)

    def continue_as_new(self, input: worker.ContinueAsNewInput) -> NoReturn:
        input.headers = self._handed_on(input.headers)
        super().continue_as_new(input)
