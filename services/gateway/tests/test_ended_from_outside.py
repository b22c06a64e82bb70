"""Operations that an operator terminates or resets in Temporal: lists tell the truth of them."""

from __future__ import annotations

import uuid
from pathlib import Path
from urllib.parse import quote

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_gateway.operations.endings import ended_progress
from nexpo_gateway.operations.unreadable import outcome_unreadable
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName

from .clients import Gateway, progress_of
from .conftest import eventually, gateway_settings, ready

STATES = [state for state in Progress.State.keys() if state != "STATE_UNSPECIFIED"]  # noqa: SIM118


async def states_of(gateway: Gateway, name: str) -> list[str]:
    """The states under which a list has the operation, once for each entry."""
    found: list[str] = []
    for state in STATES:
        target = f"/v1/operations?page_size=200&filter={quote(f'state={state}')}"
        listed = (await gateway.rest("GET", target)).get("operations", [])
        # After a reset a list names the operation by its current run, which stands for the same.
        entries = [
            one for one in listed if one["name"].rpartition("~")[0] == name.rpartition("~")[0]
        ]
        assert all(entry["metadata"]["state"] == state for entry in entries)
        found += [state] * len(entries)
    return found


async def until_listed(gateway: Gateway, name: str, *states: str) -> None:
    """Waits until the operation is listed under these states and no other."""

    async def listed() -> bool:
        return await states_of(gateway, name) == list(states)

    await eventually(listed)


async def terminate(temporal: TemporalAddress, name: str) -> None:
    """Ends it as an operator does in Temporal's own interface."""
    parsed = OperationName.parse(name)
    client = await Client.connect(temporal.url, namespace=temporal.namespace)
    await client.get_workflow_handle(parsed.workflow_id).terminate()


async def test_a_terminated_operation_is_listed_as_failed_and_as_nothing_else(
    gateway: Gateway, temporal: TemporalAddress
) -> None:
    name = (await gateway.send(plan="wait")).name
    await until_listed(gateway, name, "WAITING")
    await terminate(temporal, name)
    await until_listed(gateway, name, "FAILED")
    assert progress_of(await gateway.get(name)).state == Progress.FAILED


@pytest.mark.parametrize(("plan", "state"), [("finish", "SUCCEEDED"), ("fail", "FAILED")])
async def test_an_operation_that_ended_by_itself_is_listed_as_it_ended(
    gateway: Gateway, plan: str, state: str
) -> None:
    name = (await gateway.send(plan=plan)).name
    await until_listed(gateway, name, state)


async def test_a_cancelled_operation_is_listed_as_cancelled(gateway: Gateway) -> None:
    name = (await gateway.send(plan="wait")).name
    await until_listed(gateway, name, "WAITING")
    await gateway.rest("POST", f"/v1/{name}:cancel", {})
    await until_listed(gateway, name, "CANCELLED")


async def test_a_terminated_operations_tasks_are_listed_no_more(
    temporal: TemporalAddress, keys_file: Path
) -> None:
    async with ready(gateway_settings(temporal.url, keys_file, task_after=0.1)) as gateway:
        name = (await gateway.send(plan="blocked")).name

        async def has_tasks() -> bool:
            page = await gateway.rest("GET", "/v1/operationTasks?page_size=200")
            return any(task["operation"] == name for task in page.get("tasks", []))

        await eventually(has_tasks)
        await terminate(temporal, name)
        # At once, however long the list itself takes to know.
        assert not await has_tasks()
        assert not progress_of(await gateway.get(name)).tasks
        await until_listed(gateway, name, "FAILED")


async def test_an_operation_that_was_reset_is_listed_once_as_it_goes_on(
    gateway: Gateway, temporal: TemporalAddress
) -> None:
    name = (await gateway.send(plan="wait")).name
    await until_listed(gateway, name, "WAITING")
    parsed = OperationName.parse(name)
    client = await Client.connect(temporal.url, namespace=temporal.namespace)
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=temporal.namespace,
            workflow_execution=WorkflowExecution(
                workflow_id=parsed.workflow_id, run_id=parsed.run_id
            ),
            workflow_task_finish_event_id=4,
            request_id=str(uuid.uuid4()),
        )
    )
    await until_listed(gateway, name, "WAITING")


@pytest.mark.parametrize("said", [Progress.WAITING, Progress.UNDO_BLOCKED, Progress.SUCCEEDED])
def test_the_outcome_decides_the_state_whatever_was_said_last(
    said: Progress.State.ValueType,
) -> None:
    progress = Progress(state=said)
    progress.tasks.add(task="t")
    after = ended_progress(progress, Fault(Reason.REASON_OPERATION_TERMINATED))
    assert (after.state, list(after.tasks)) == (Progress.FAILED, [])
    assert (
        ended_progress(progress, Fault(Reason.REASON_OPERATION_CANCELLED)).state
        == Progress.CANCELLED
    )
    assert ended_progress(progress, None).state == Progress.SUCCEEDED
    assert ended_progress(Progress(state=Progress.RUNNING, percent=40), None).percent == 100


@pytest.mark.parametrize(
    ("said", "completed", "shown"),
    [
        (Progress.RUNNING, True, Progress.SUCCEEDED),
        (Progress.RUNNING, False, Progress.FAILED),
        (Progress.FAILED, False, Progress.FAILED),
        (Progress.CANCELLED, False, Progress.CANCELLED),
        (Progress.SUCCEEDED, False, Progress.FAILED),
    ],
)
def test_what_was_said_last_decides_the_state_when_the_outcome_cannot_be_read(
    said: Progress.State.ValueType, completed: bool, shown: Progress.State.ValueType
) -> None:
    after = ended_progress(Progress(state=said), outcome_unreadable(), completed)
    assert after.state == shown
