"""What a workflow hands to Temporal in one task stays below what ends the workflow."""

from __future__ import annotations

import pytest
from temporalio.client import Client, WorkflowFailureError

from nexpo_runtime.failures import fault_from
from nexpo_runtime.settings import Settings
from nexpo_runtime.worker.process import Started
from nexpo_runtime.workflow.task_size import CALL_LIMIT

from .conftest import begin


async def test_many_large_calls_at_once_are_spread_over_several_tasks(
    worker: Started, client: Client, settings: Settings
) -> None:
    # 10 MB as JSON: more than twice what one task may hold.
    handle = await begin(client, settings, "many-12-280000")
    assert (await handle.result()).service == "12"
    tasks = [
        event
        for event in (await handle.fetch_history()).events
        if event.HasField("timer_started_event_attributes")
    ]
    assert tasks


async def test_many_small_calls_need_no_further_task(
    worker: Started, client: Client, settings: Settings
) -> None:
    handle = await begin(client, settings, "many-12-1000")
    assert (await handle.result()).service == "12"
    history = await handle.fetch_history()
    scheduled = {
        event.activity_task_scheduled_event_attributes.workflow_task_completed_event_id
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    assert len(scheduled) == 1


async def test_a_call_that_no_task_could_hold_is_a_fault_that_can_be_undone(
    worker: Started, client: Client, settings: Settings
) -> None:
    handle = await begin(client, settings, f"many-1-{CALL_LIMIT + 100}")
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert fault_from(failed.value).name == "MESSAGE_TOO_LARGE"
