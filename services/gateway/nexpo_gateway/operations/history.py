"""Follows an operation by one long poll of its history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import fault_from
from nexpo_runtime.names import OperationName

from .backend import Snapshot
from .descriptions import OVER, Description, progress_of
from .temporal_calls import PROMPT
from .unreadable import is_unreadable, report

_POLL = timedelta(seconds=70)
_AWAY_AT_MOST = 60.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_FIRST_LOOK = 1.0
_LONGEST_LOOK = 15.0

Describe = Callable[[Client, OperationName, float], Awaitable[Description]]
Complete = Callable[[Client, Description, float], Awaitable[Snapshot]]


async def first_input(client: Client, name: OperationName, limit: timedelta) -> Message | None:
    """The request with which the chain began; None when it can no longer be read."""
    handle = client.get_workflow_handle(name.workflow_id, run_id=name.run_id)
    try:
        async for event in handle.fetch_history_events(page_size=1, rpc_timeout=limit):
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            [request] = await client.data_converter.decode(payloads)
            return request if isinstance(request, Message) else None
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
    except Exception as error:
        if not is_unreadable(error):
            raise
        report(name.workflow_id, "input", error)
    return None


async def changes(
    client: Callable[[], Client], name: OperationName, describe: Describe, complete: Complete
) -> AsyncIterator[Snapshot]:
    """The operation as it is now, then at every change, last when it has ended.

    While Temporal is away it tries again, for a minute.

    Args:
        client: Gives the connected client. Raises: Fault.
        name: The operation.
        describe: Describes it.
        complete: Makes a snapshot of a description, with the outcome where there is one.

    Raises:
        Fault: OPERATION_NOT_FOUND; TEMPORAL_UNAVAILABLE.
    """
    pause, reached = _FIRST_PAUSE, time.monotonic()
    latest: Description | None = None
    while True:
        try:
            connected = client()
            described = await describe(connected, name, PROMPT)
            reached, pause = time.monotonic(), _FIRST_PAUSE
            if not described.running:
                yield await complete(connected, described, PROMPT)
                return
            if latest is None or described.progress != latest.progress:
                yield Snapshot(described.name, described.progress)
            latest = described
            async for latest in _followed(connected, described, describe):
                yield Snapshot(latest.name, latest.progress)
                reached = time.monotonic()
            continue
        except (Fault, RPCError) as error:
            fault = fault_from(error)
            away = time.monotonic() - reached
            if not fault.entry.retryable or away > _AWAY_AT_MOST:
                raise fault from error
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)


async def _followed(
    client: Client, described: Description, describe: Describe
) -> AsyncIterator[Description]:
    """Every change of the run after the description, until the run closes.

    Steps that run long are looked at by describing too: attempts and heartbeats
    are not in the history while an activity is pending.
    """
    latest, seen, token, look = described, described.events, b"", _FIRST_LOOK
    while True:
        poll = asyncio.ensure_future(_poll(client, described, token))
        try:
            while not (
                await asyncio.wait({poll}, timeout=look if _busy(latest.progress) else None)
            )[0]:
                looked = await describe(client, described.name, PROMPT)
                look = min(_LONGEST_LOOK, look * 1.5)
                if looked.running and looked.progress != latest.progress:
                    latest = replace(latest, progress=looked.progress)
                    yield latest
            response = poll.result()
        finally:
            poll.cancel()
        new = [event for event in response.history.events if event.event_id > seen]
        progress = await _newest(client, new, described.name.workflow_id)
        # An ended operation's last progress comes with its result, once the run has closed.
        if progress is not None and progress.state not in OVER and progress != latest.progress:
            latest, look = replace(latest, progress=progress), _FIRST_LOOK
            yield latest
        seen = max([seen, *(event.event_id for event in new)])
        token = response.next_page_token
        if not token:
            return


async def _poll(
    client: Client, described: Description, token: bytes
) -> GetWorkflowExecutionHistoryResponse:
    try:
        return await client.workflow_service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(
                    workflow_id=described.name.workflow_id, run_id=described.run_id
                ),
                wait_new_event=True,
                next_page_token=token,
                skip_archival=True,
            ),
            timeout=_POLL,
        )
    except RPCError as error:
        # A token of a server that has restarted since: begin anew.
        if error.status == RPCStatusCode.INVALID_ARGUMENT:
            raise Fault(Reason.REASON_TEMPORAL_UNAVAILABLE) from error
        raise


async def _newest(client: Client, events: list[HistoryEvent], workflow_id: str) -> Progress | None:
    """The latest progress that the events report: the ones before it are passed over."""
    for event in reversed(events):
        if event.HasField("workflow_properties_modified_event_attributes"):
            memo = event.workflow_properties_modified_event_attributes.upserted_memo
            progress = await progress_of(client, memo, workflow_id)
            if progress is not None and not progress.unreadable:
                return progress
    return None


def _busy(progress: Progress) -> bool:
    return any(step.state in (Step.RUNNING, Step.UNDOING) for step in progress.steps)
