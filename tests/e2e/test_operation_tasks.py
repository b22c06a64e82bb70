"""What a store refuses and must be done: a human's task, closed by success or by hand."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from nexpo.client import NexpoError
from nexpo.operations.v1.operations_pb2 import (
    ListOperationTasksRequest,
    MarkOperationTaskDoneRequest,
    OperationTask,
    Progress,
    RetryOperationTaskRequest,
    Step,
)
from nexpo.users.v1.users_client import OnboardUserOperation
from nexpo.users.v1.users_pb2 import User

from .house import PATIENCE, House, person, refusal

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def test_a_blocked_undo_is_listed_and_finishes_when_retried_after_the_repair(
    house: House,
) -> None:
    request_id = f"blocked-{uuid.uuid4().hex[:8]}"
    # It refuses the record and also its tombstone: the undo cannot be done.
    async with house.refused(f"NEW.effect_key LIKE '%{request_id}%'") as mend:
        request = person(request_id=request_id)
        operation = await house.users.onboard_user(request)
        progress = await _blocked(operation)
        [task] = progress.tasks
        assert (task.task, task.step) == ("create-in-sqlserver", "create in sqlserver")
        [listed] = await _listed(house, operation)
        assert (listed.task, listed.create_time) == (task.task, task.create_time)
        assert listed.reason == "STORE_REFUSED"  # why the latest attempt failed
        assert not (await operation.operation()).done
        with pytest.raises(TimeoutError):
            await operation.result(0.5)
        states = {step.name: step.state for step in progress.steps}
        assert states["create in sqlserver"] == Step.UNDO_BLOCKED
        assert states["create in postgres"] == Step.UNDONE
        await operation.cancel()  # which changes nothing: it undoes already
        assert (await operation.progress()).state == Progress.UNDO_BLOCKED
        await mend()
        retry = RetryOperationTaskRequest(operation=operation.name, task=task.task)
        await _retried(house, retry)
        with pytest.raises(NexpoError) as undone:
            await operation.result(PATIENCE)
    assert undone.value.reason == "STORE_REFUSED"
    ended = await operation.progress()
    assert (ended.state, list(ended.tasks)) == (Progress.FAILED, [])
    assert {step.state for step in ended.steps if step.name.startswith("create")} == {Step.UNDONE}
    assert await _listed(house, operation) == []
    assert await house.nowhere(request.email)
    with pytest.raises(NexpoError) as over:
        await house.tasks.retry_operation_task(retry)
    assert over.value.reason == "OPERATION_DONE"


async def test_an_undo_that_was_done_by_hand_lets_the_operation_end(house: House) -> None:
    request_id = f"by-hand-{uuid.uuid4().hex[:8]}"
    async with house.refused(f"NEW.effect_key LIKE '%{request_id}%'"):
        operation = await house.users.onboard_user(person(request_id=request_id))
        [task] = (await _blocked(operation)).tasks
        path = f"/v1/{operation.name}/tasks"
        unknown = await house.rest("POST", f"{path}/no-such-task:markDone", {"note": "x"})
        assert (unknown.status_code, unknown.json()["reason"]) == (404, "TASK_NOT_FOUND")
        no_note = MarkOperationTaskDoneRequest(operation=operation.name, task=task.task)
        with pytest.raises(NexpoError) as refused:
            await house.tasks.mark_operation_task_done(no_note)
        assert list(refused.value.fields) == ["note"]
        done = await house.rest("POST", f"{path}/{task.task}:markDone", {"note": "Ada, by hand"})
        done.raise_for_status()
        with pytest.raises(NexpoError) as undone:
            await operation.result(PATIENCE)
    assert undone.value.reason == "STORE_REFUSED"
    assert (await operation.progress()).state == Progress.FAILED


async def test_a_step_that_a_store_refuses_after_the_pivot_is_a_task_too(house: House) -> None:
    request = person()
    async with house.refused(f"NEW.email = '{request.email}' AND NEW.state = 'ACTIVE'") as mend:
        operation = await house.users.onboard_user(request)
        await house.waiting(operation)
        await operation.verify_email(token=await house.token(request.email))
        progress = await _blocked(operation)
        assert progress.state == Progress.BLOCKED
        [task] = progress.tasks
        assert (task.kind, task.step) == (OperationTask.STEP, "activate in sqlserver")
        [listed] = await _listed(house, operation)
        assert (listed.task, listed.reason, listed.kind) == (
            task.task,
            "STORE_REFUSED",
            OperationTask.STEP,
        )
        cancelled = await refusal(operation.cancel())
        assert cancelled.reason == "OPERATION_PAST_PIVOT"
        await mend()
        retry = RetryOperationTaskRequest(operation=operation.name, task=task.task)
        await _retried(house, retry)
        answer = await operation.result(PATIENCE)
    assert answer.user.state == User.ACTIVE
    assert (await operation.progress()).state == Progress.SUCCEEDED
    assert await _listed(house, operation) == []


async def _blocked(operation: OnboardUserOperation) -> Progress:
    async for progress in operation.watch(PATIENCE):
        if progress.tasks:
            return progress
    raise AssertionError("it ended and was never blocked")


async def _listed(house: House, operation: OnboardUserOperation) -> list[OperationTask]:
    """Its tasks in the list, which the server's visibility may show a moment later."""
    wanted = len((await operation.progress()).tasks)
    async with asyncio.timeout(PATIENCE):
        while True:
            page = await house.tasks.list_operation_tasks(ListOperationTasksRequest(page_size=1000))
            found = [task for task in page.tasks if task.operation == operation.name]
            # The first attempt after the task was made has not failed yet.
            known = all(task.reason not in ("", "DEADLINE_EXCEEDED") for task in found)
            if len(found) == wanted and known:
                return found
            await asyncio.sleep(0.1)


async def _retried(house: House, retry: RetryOperationTaskRequest) -> None:
    """Has a mended task tried again; the operation's own next try may have been quicker."""
    try:
        await house.tasks.retry_operation_task(retry)
    except NexpoError as error:
        if error.reason not in ("TASK_NOT_FOUND", "OPERATION_DONE"):
            raise
