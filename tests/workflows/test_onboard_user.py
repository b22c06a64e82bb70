"""OnboardUser on Temporal: what a person, an operator and a failing world do to it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
)
from temporalio.testing import WorkflowEnvironment

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo.users.v1.users_pb2 import OnboardUserResponse, TextSource, User
from nexpo_dev.waiting import eventually
from nexpo_runtime.errors import Fault
from nexpo_runtime.failures import fault_from
from tests.simulation.case import ONBOARD_BEFORE, ONBOARD_UNDOABLE
from tests.simulation.world import STORES, World

from .conftest import StartOnboarding
from .modelled import Place
from .onboarding import Onboarding

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def fault_of(onboarding: Onboarding) -> Fault:
    """Why the operation failed."""
    with pytest.raises(WorkflowFailureError) as failed:
        await onboarding.handle.result()
    return fault_from(failed.value)


async def update_fault(update: object) -> Fault:
    """Why the update was refused."""
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await update  # type: ignore[misc]  # a coroutine
    return fault_from(failed.value)


def assert_nothing_left(world: World) -> None:
    for rows in (*world.users.values(), world.claims, world.homes):
        assert rows.live() == {}


def assert_whole(world: World, result: OnboardUserResponse) -> None:
    for store in STORES:
        copy = world.find(store, result.user.user_id)
        assert copy == result.user
        assert copy is not None
        assert copy.state == User.ACTIVE
    assert len(world.homes.live()) == 1
    assert len(world.claims.live()) == 1
    assert not any(rows.tombstones() for rows in world.users.values())


def begun_until(step: str) -> set[str]:
    """The steps with an undo that begin before this one or beside it."""
    together = ONBOARD_UNDOABLE[1:]
    last = ONBOARD_BEFORE.index(together[-1] if step in together else step)
    return set(ONBOARD_UNDOABLE) & set(ONBOARD_BEFORE[: last + 1])


async def test_a_verified_person_is_active_in_every_store(
    onboard: StartOnboarding, place: Place
) -> None:
    onboarding = await onboard()
    answer = await onboarding.verify()
    result = await onboarding.handle.result()
    assert answer.user_id == result.user.user_id
    assert_whole(place.world, result)
    assert result.welcome_source == TextSource.TEXT_SOURCE_MODEL
    assert len({entry.id for entry in result.record_ids}) == len(STORES)
    progress = await onboarding.progress()
    assert progress.state == Progress.SUCCEEDED
    assert progress.percent == 100
    assert all(step.state == Step.DONE for step in progress.steps)
    assert all(step.HasField("start_time") and step.HasField("end_time") for step in progress.steps)


async def test_an_address_that_is_not_verified_in_time_undoes_everything(
    onboard: StartOnboarding, place: Place, environment: WorkflowEnvironment
) -> None:
    onboarding = await onboard()
    await onboarding.mail()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await environment.fast_forward(onboarding.handle, timedelta(hours=12, minutes=1))
    reminder = await onboarding.mail("REMINDER")
    assert reminder.to == "ada@example.test"
    assert (await onboarding.progress()).state == Progress.WAITING
    await environment.fast_forward(onboarding.handle, timedelta(hours=12))
    assert (await fault_of(onboarding)).reason == Reason.REASON_VERIFICATION_EXPIRED
    assert_nothing_left(place.world)
    assert (await onboarding.progress()).state == Progress.FAILED


async def test_the_reminders_token_verifies(
    onboard: StartOnboarding, place: Place, environment: WorkflowEnvironment
) -> None:
    onboarding = await onboard()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await environment.fast_forward(onboarding.handle, timedelta(hours=12, minutes=1))
    await onboarding.verify((await onboarding.mail("REMINDER")).token)
    assert_whole(place.world, await onboarding.handle.result())


async def test_five_wrong_tokens_lock_and_a_resend_unlocks(
    onboard: StartOnboarding, place: Place
) -> None:
    onboarding = await onboard()
    first = await onboarding.mail()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    for left in (4, 3, 2, 1, 0):
        fault = await update_fault(onboarding.verify("wrong"))
        assert fault.reason == Reason.REASON_TOKEN_WRONG
        assert fault.metadata["attempts_left"] == str(left)
    locked = await update_fault(onboarding.verify(first.token))
    assert locked.reason == Reason.REASON_VERIFICATION_LOCKED
    assert (await onboarding.resend()).remaining == 2
    another = await onboarding.mail("RESEND")
    await onboarding.until(lambda progress: progress.steps[-1].state == Step.DONE)
    await onboarding.verify(another.token)
    assert_whole(place.world, await onboarding.handle.result())


async def test_a_token_that_arrives_before_its_mail_was_reported_is_not_a_wrong_one(
    onboard: StartOnboarding, place: Place
) -> None:
    again = "send verification e-mail again, 1"
    away = Fault(Reason.REASON_MAIL_UNAVAILABLE)
    place.after = lambda name, attempt: away if name == again and attempt <= 2 else None
    onboarding = await onboard()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await onboarding.resend()
    token = (await onboarding.mail("RESEND")).token
    early = await update_fault(onboarding.verify(token))
    assert early.reason == Reason.REASON_VERIFICATION_NOT_READY
    await onboarding.until(lambda progress: progress.steps[-1].state == Step.DONE)
    await onboarding.verify(token)
    assert_whole(place.world, await onboarding.handle.result())


async def test_at_most_three_mails_can_be_asked_for(onboard: StartOnboarding) -> None:
    onboarding = await onboard()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    assert [(await onboarding.resend()).remaining for _ in range(3)] == [2, 1, 0]
    assert (await update_fault(onboarding.resend())).reason == Reason.REASON_RESEND_LIMIT
    await onboarding.verify()
    await onboarding.handle.result()


async def test_the_same_call_again_counts_one_wrong_token_once(onboard: StartOnboarding) -> None:
    onboarding = await onboard()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    for _ in range(7):
        fault = await update_fault(onboarding.verify("wrong", request_id="same"))
        assert fault.metadata["attempts_left"] == "4"
    await onboarding.verify()
    await onboarding.handle.result()


@pytest.mark.parametrize("step", ONBOARD_BEFORE)
async def test_a_step_that_fails_once_is_done_again(
    onboard: StartOnboarding, place: Place, step: str
) -> None:
    away = Fault(Reason.REASON_STORE_UNAVAILABLE)
    place.after = lambda name, attempt: away if name == step and attempt == 1 else None
    onboarding = await onboard()
    await onboarding.verify()
    assert_whole(place.world, await onboarding.handle.result())
    steps = {step.name: step for step in (await onboarding.progress()).steps}
    assert steps[step].attempt == 2


@pytest.mark.parametrize("step", [s for s in ONBOARD_BEFORE if s != "write welcome text"])
async def test_a_step_that_fails_for_good_undoes_everything(
    onboard: StartOnboarding, place: Place, step: str
) -> None:
    refused = Fault(Reason.REASON_STORE_REFUSED, "The store refused the write.")
    place.fault = lambda name, attempt: refused if name == step else None
    onboarding = await onboard()
    fault = await fault_of(onboarding)
    assert fault.reason == Reason.REASON_STORE_REFUSED
    assert fault.message == "The store refused the write."
    assert_nothing_left(place.world)
    progress = await onboarding.progress()
    assert progress.state == Progress.FAILED
    undone = {entry.name for entry in progress.steps if entry.state == Step.UNDONE}
    assert undone == begun_until(step)


async def test_without_the_model_a_plain_text_is_sent(
    onboard: StartOnboarding, place: Place
) -> None:
    off = Fault(Reason.REASON_MODEL_DISABLED)
    place.fault = lambda name, attempt: off if name == "write welcome text" else None
    onboarding = await onboard()
    await onboarding.verify()
    result = await onboarding.handle.result()
    assert result.welcome_source == TextSource.TEXT_SOURCE_TEMPLATE
    assert "Ada" in result.welcome_text
    steps = {step.name: step for step in (await onboarding.progress()).steps}
    assert steps["write welcome text"].state == Step.SKIPPED
    assert steps["write welcome text"].reason == "MODEL_DISABLED"


@pytest.mark.parametrize("step", ONBOARD_BEFORE)
async def test_a_cancel_at_any_step_undoes_everything(
    onboard: StartOnboarding, place: Place, step: str
) -> None:
    reached = asyncio.Event()
    place.reached = lambda name: reached.set() if name == step else None
    onboarding = await onboard()
    await asyncio.wait_for(reached.wait(), 90)
    await onboarding.handle.cancel()
    assert (await fault_of(onboarding)).reason == Reason.REASON_OPERATION_CANCELLED
    description = await onboarding.handle.describe()
    assert description.status == WorkflowExecutionStatus.CANCELED
    assert_nothing_left(place.world)
    assert (await onboarding.progress()).state == Progress.CANCELLED


async def test_a_cancel_after_the_verification_changes_nothing(
    onboard: StartOnboarding, place: Place
) -> None:
    released = asyncio.Event()

    def hold(name: str, attempt: int) -> Fault | None:
        held_back = name.startswith("activate") and not released.is_set()
        return Fault(Reason.REASON_STORE_UNAVAILABLE) if held_back else None

    place.fault = hold
    onboarding = await onboard()
    await onboarding.verify()
    assert (await onboarding.progress()).past_pivot
    await eventually(lambda: len(activations(place)) == len(STORES))
    await onboarding.handle.cancel()
    await onboarding.dealt_with_its_cancel()
    tried = activations(place)
    released.set()
    assert_whole(place.world, await onboarding.handle.result())
    assert all(activations(place)[step] > attempt for step, attempt in tried.items())
    assert (await onboarding.progress()).state == Progress.SUCCEEDED


def activations(place: Place) -> dict[str, int]:
    """The latest attempt of each step that activates."""
    return {step: n for step, n in place.attempts.items() if step.startswith("activate")}


async def test_verify_is_refused_while_the_operation_is_undone(
    onboard: StartOnboarding, place: Place
) -> None:
    stuck = Fault(Reason.REASON_STORE_UNAVAILABLE)
    open_again = asyncio.Event()
    place.fault = lambda name, _: (
        stuck if name == "undo provision home" and not open_again.is_set() else None
    )
    onboarding = await onboard()
    token = (await onboarding.mail()).token
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await onboarding.handle.cancel()
    await onboarding.until(lambda progress: progress.state == Progress.UNDOING)
    fault = await update_fault(onboarding.verify(token))
    assert fault.reason == Reason.REASON_OPERATION_CANCELLING
    open_again.set()
    await fault_of(onboarding)
    assert_nothing_left(place.world)
