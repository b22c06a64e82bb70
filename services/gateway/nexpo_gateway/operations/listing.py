"""Lists operations by Temporal's visibility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta

from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.names import escaped
from nexpo_runtime.workflow.temporal_engine import STATE_ATTRIBUTE, TENANT_ATTRIBUTE

from .backend import Criteria
from .descriptions import Description, from_info

_RUNNING = "ExecutionStatus = 'Running'"
_ENDED: Mapping[int, Sequence[str]] = {
    Progress.SUCCEEDED: ("Completed",),
    Progress.CANCELLED: ("Canceled",),
    Progress.FAILED: ("Failed", "Terminated", "TimedOut"),
}


async def list_page(
    client: Client, criteria: Criteria, size: int, token: bytes, limit: timedelta
) -> tuple[list[Description], bytes]:
    """A page of descriptions and where the next begins.

    Raises:
        Fault: INVALID_PAGE_TOKEN: the server no longer knows the place.
        RPCError: As Temporal says.
    """
    try:
        response = await client.workflow_service.list_workflow_executions(
            ListWorkflowExecutionsRequest(
                namespace=client.namespace,
                page_size=size,
                next_page_token=token,
                query=visibility_query(criteria),
            ),
            retry=True,
            timeout=limit,
        )
    except RPCError as error:
        if token and error.status == RPCStatusCode.INVALID_ARGUMENT:
            raise Fault(
                Reason.REASON_INVALID_PAGE_TOKEN,
                "The page token is not valid any more.",
                fields=[FieldViolation("page_token", "is not valid any more")],
            ) from error
        raise
    # What somebody else started under the tenant's name has no operation's id.
    own = f"{escaped(criteria.tenant)}/"
    found = [
        await from_info(client, info)
        for info in response.executions
        if info.execution.workflow_id.startswith(own)
    ]
    return found, response.next_page_token


def visibility_query(criteria: Criteria) -> str:
    """The criteria in Temporal's query language; every value is one that we know."""
    terms = [
        f"{TENANT_ATTRIBUTE.name} = {_quoted(criteria.tenant)}",
        # One entry per chain of runs: the current one.
        "ExecutionStatus != 'ContinuedAsNew'",
    ]
    if criteria.types:
        terms.append(f"WorkflowType IN ({', '.join(map(_quoted, criteria.types))})")
    if criteria.states:
        terms.append(f"({' OR '.join(map(_in_state, criteria.states))})")
    terms += [
        f"StartTime {operator} {_quoted(moment.astimezone(UTC).isoformat())}"
        for operator, moment in criteria.created
    ]
    return " AND ".join(terms)


def _in_state(state: Progress.State.ValueType) -> str:
    """Whether an operation is in a state.

    The search attribute is what a workflow last said of itself. One that was
    terminated, or ended in any other way from outside, says no more: only its
    execution's status is true then.
    """
    open_term = f"{_RUNNING} AND {STATE_ATTRIBUTE.name} = {_quoted(Progress.State.Name(state))}"
    ended = ", ".join(map(_quoted, _ENDED.get(state, ())))
    return f"({open_term} OR ExecutionStatus IN ({ended}))" if ended else f"({open_term})"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
