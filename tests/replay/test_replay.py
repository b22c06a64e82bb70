"""Recorded histories replay on today's workflows; a change that would break them is caught."""

from __future__ import annotations

import inspect

import pytest
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from nexpo.queues import QUEUES
from nexpo_gateway.processes.users.delete_user import DeleteUser
from nexpo_runtime.temporal.codec import ENCODING
from tests.house import WORKFLOWS

from .changed import PatchedUpdate, UnpatchedUpdate
from .recorded import Recorded, histories, is_released, todays

RELEASED = [part.name for queue in QUEUES for part in queue.workflows if is_released(part.name)]
"""Of another one nothing can run, so there is nothing that a change could break."""


def named(recorded: Recorded) -> str:
    return f"{recorded.workflow}: {recorded.scenario}"


def of(workflow: str) -> list[Recorded]:
    return [recorded for recorded in histories() if recorded.workflow == workflow]


@pytest.fixture(scope="module")
def on_todays_workflows() -> Replayer:
    return todays(WORKFLOWS)


@pytest.mark.parametrize("recorded", histories(), ids=named)
async def test_a_history_replays_on_todays_workflows(
    recorded: Recorded, on_todays_workflows: Replayer
) -> None:
    await on_todays_workflows.replay_workflow(recorded.history)


@pytest.mark.parametrize("rpc", RELEASED)
def test_every_released_workflow_has_histories_without_and_with_undo(rpc: str) -> None:
    short = rpc.rpartition(".")[2]
    endings = {recorded.last_event for recorded in of(short)}
    assert "WORKFLOW_EXECUTION_COMPLETED" in endings, (
        f"{rpc} is released, and no history of it is recorded: keep one in a test of it with the"
        " fixture 'recorder' (docs/guides/add-an-operation.md), and run 'make record'"
    )
    [workflow] = [each for each in WORKFLOWS if each.contract.name == rpc]
    if "self.saga(" in inspect.getsource(workflow):
        assert "WORKFLOW_EXECUTION_FAILED" in endings, f"{rpc} has no history with an undo"
        assert all(
            any(step.startswith("undo ") for step in recorded.activities())
            for recorded in of(short)
            if recorded.last_event != "WORKFLOW_EXECUTION_COMPLETED"
        )


def test_a_cancelled_and_a_blocked_onboarding_are_among_them() -> None:
    endings = {recorded.scenario: recorded.last_event for recorded in of("OnboardUser")}
    assert endings["undone because it was cancelled"] == "WORKFLOW_EXECUTION_CANCELED"
    assert endings["undone with blocked undos"] == "WORKFLOW_EXECUTION_FAILED"
    assert endings["undone because it expired"] == "WORKFLOW_EXECUTION_FAILED"


def test_every_recording_is_of_a_workflow_that_exists() -> None:
    known = {workflow.__name__ for workflow in WORKFLOWS}
    assert {recorded.workflow for recorded in histories()} <= known


def test_encrypted_histories_are_among_them() -> None:
    encrypted = of("CheckHealth")
    assert len(encrypted) > 1
    for recorded in encrypted:
        started = recorded.history.events[0].workflow_execution_started_event_attributes
        assert started.input.payloads[0].metadata["encoding"] == ENCODING


@pytest.mark.parametrize("recorded", of("UpdateUser"), ids=named)
async def test_a_changed_workflow_without_a_patch_is_caught(recorded: Recorded) -> None:
    with pytest.raises(NondeterminismError):
        await todays([UnpatchedUpdate]).replay_workflow(recorded.history)


@pytest.mark.parametrize("recorded", of("UpdateUser"), ids=named)
async def test_the_same_change_behind_a_patch_replays(recorded: Recorded) -> None:
    await todays([PatchedUpdate]).replay_workflow(recorded.history)


async def test_a_step_that_is_left_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    [deleted] = [recorded for recorded in of("DeleteUser") if recorded.scenario == "deleted"]

    async def nothing(self: object, saga: object, locked: object) -> None:
        """Erases nothing: the planted fault."""

    monkeypatch.setattr(DeleteUser, "_erase", nothing)
    with pytest.raises(NondeterminismError):
        await todays([DeleteUser]).replay_workflow(deleted.history)
