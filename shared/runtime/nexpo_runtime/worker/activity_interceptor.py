"""Services as Temporal activities: named by their RPC, verified, observed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message
from temporalio import activity as temporal
from temporalio import worker

from nexpo.contract import Method

from ..errors import Fault
from ..failures import to_application_error
from ..telemetry import logs
from ..tenant import Signer
from .activity import ActivityContext
from .invocation import Implementation, Service, implementation, invoke


def activities_of(services: Iterable[Service]) -> list[Callable[..., Any]]:
    """The services' activities, as a Temporal worker takes them; reads are left out."""
    return [
        _activity(implementation(service, method), method)
        for service in services
        for method in service.CONTRACT.methods
        if method.kind == "activity"
    ]


class ActivityInterceptor(worker.Interceptor):
    """Verifies the tenant of every activity, gives it its context, and turns what it
    raises into failures of the catalogue.

    Args:
        signer: Verifies the header.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def intercept_activity(
        self, next: worker.ActivityInboundInterceptor
    ) -> worker.ActivityInboundInterceptor:
        """Wraps one activity's execution."""
        return _Inbound(next, self._signer)


class _Inbound(worker.ActivityInboundInterceptor):
    def __init__(self, next: worker.ActivityInboundInterceptor, signer: Signer) -> None:
        super().__init__(next)
        self._signer = signer

    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:
        info = temporal.info()
        operation = info.workflow_id or ""

        async def proceed(request: Message) -> Message:
            answer: Message = await self.next.execute_activity(input)
            return answer

        try:
            tenant = self._signer.verified(input.headers, operation)
            context = ActivityContext(tenant, operation, info.attempt)
            with logs.bound(run_id=info.workflow_run_id or ""):
                return await invoke(proceed, info.activity_type, input.args[0], context)
        except Fault as fault:
            policy = info.retry_policy
            persistent = policy is not None and policy.maximum_attempts == 0
            raise to_application_error(fault, persistent=persistent) from None


def _activity(call: Implementation, method: Method) -> Callable[..., Any]:
    async def run(request: Message) -> Message:
        return await call(request)

    # Temporal decodes by the concrete types that it finds here.
    run.__annotations__ = {"request": method.request, "return": method.response}
    run.__name__ = run.__qualname__ = method.method
    return temporal.defn(name=method.name)(run)
