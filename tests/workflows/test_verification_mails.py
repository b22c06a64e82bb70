"""OnboardUser and a mail server that puts mails off, is away, or refuses them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.testing import WorkflowEnvironment

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo_runtime.errors import Fault
from tests.simulation.case import MAIL

from .conftest import StartOnboarding
from .modelled import Place
from .onboarding import Onboarding
from .test_onboard_user import assert_nothing_left, assert_whole, fault_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

AWAY = Fault(Reason.REASON_MAIL_UNAVAILABLE, "The mail server cannot take the e-mail now.")
REFUSED = Fault(Reason.REASON_MAIL_REFUSED, "The mail server refused the e-mail.")


async def step_of(onboarding: Onboarding, name: str) -> Step:
    """One step as the progress shows it."""
    return next(step for step in (await onboarding.progress()).steps if step.name == name)


async def begun(onboarding: Onboarding, name: str) -> None:
    """Waits until the step has begun."""
    await onboarding.until(lambda progress: name in [step.name for step in progress.steps])


async def test_a_mail_that_is_put_off_for_hours_undoes_nothing(
    onboard: StartOnboarding, place: Place, environment: WorkflowEnvironment
) -> None:
    # Twelve attempts take three times as long as a step's usual handful.
    place.fault = lambda name, attempt: AWAY if name == MAIL and attempt < 12 else None
    onboarding = await onboard()
    await begun(onboarding, MAIL)
    while place.attempts.get(MAIL, 0) < 12:
        assert (await onboarding.progress()).state == Progress.RUNNING
        await environment.fast_forward(onboarding.handle, timedelta(minutes=10))
    await onboarding.verify()
    assert_whole(place.world, await onboarding.handle.result())
    assert (await step_of(onboarding, MAIL)).attempt == 12


async def test_a_mail_that_is_never_taken_undoes_everything_when_the_verification_expires(
    onboard: StartOnboarding, place: Place, environment: WorkflowEnvironment
) -> None:
    place.fault = lambda name, attempt: AWAY if name == MAIL else None
    onboarding = await onboard(verify_within=Duration(seconds=120))
    await begun(onboarding, MAIL)
    # The next attempt would come after the end: no reason to end before it.
    await environment.fast_forward(onboarding.handle, timedelta(seconds=110))
    assert (await onboarding.progress()).state == Progress.RUNNING
    await environment.fast_forward(onboarding.handle, timedelta(seconds=20))
    fault = await fault_of(onboarding)
    assert fault.reason == Reason.REASON_VERIFICATION_EXPIRED
    assert "mail server" in fault.message
    assert_nothing_left(place.world)


async def test_a_mail_that_is_refused_for_good_is_not_tried_again(
    onboard: StartOnboarding, place: Place
) -> None:
    place.fault = lambda name, attempt: REFUSED if name == MAIL else None
    onboarding = await onboard()
    assert (await fault_of(onboarding)).reason == Reason.REASON_MAIL_REFUSED
    assert place.attempts[MAIL] == 1
    assert_nothing_left(place.world)


@pytest.mark.parametrize("fault", [AWAY, REFUSED], ids=["away", "refused"])
async def test_a_resend_that_is_not_sent_leaves_the_first_mails_link_in_force(
    onboard: StartOnboarding, place: Place, fault: Fault
) -> None:
    again = "send verification e-mail again, 1"
    place.fault = lambda name, attempt: fault if name == again else None
    onboarding = await onboard()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await onboarding.resend()
    await begun(onboarding, again)
    await onboarding.verify()
    assert_whole(place.world, await onboarding.handle.result())
    assert (await step_of(onboarding, again)).state == Step.SKIPPED


@pytest.mark.parametrize("fault", [AWAY, REFUSED], ids=["away", "refused"])
async def test_a_reminder_that_is_not_sent_leaves_the_first_mails_link_in_force(
    onboard: StartOnboarding, place: Place, environment: WorkflowEnvironment, fault: Fault
) -> None:
    place.fault = lambda name, attempt: fault if name == "send reminder" else None
    onboarding = await onboard()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await environment.fast_forward(onboarding.handle, timedelta(hours=12, minutes=1))
    await begun(onboarding, "send reminder")
    await onboarding.verify()
    assert_whole(place.world, await onboarding.handle.result())
    assert (await step_of(onboarding, "send reminder")).state == Step.SKIPPED


async def test_a_mail_that_was_asked_for_does_not_wait_for_a_reminder_that_is_put_off(
    onboard: StartOnboarding, place: Place, environment: WorkflowEnvironment
) -> None:
    place.fault = lambda name, attempt: AWAY if name == "send reminder" else None
    onboarding = await onboard()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await environment.fast_forward(onboarding.handle, timedelta(hours=12, minutes=1))
    await begun(onboarding, "send reminder")
    await onboarding.resend()
    await onboarding.verify((await onboarding.mail("RESEND")).token)
    assert_whole(place.world, await onboarding.handle.result())


async def test_the_reminder_comes_half_way_between_a_late_first_mail_and_the_end(
    onboard: StartOnboarding, place: Place, environment: WorkflowEnvironment
) -> None:
    held = True
    place.fault = lambda name, attempt: AWAY if name == MAIL and held else None
    onboarding = await onboard(verify_within=Duration(seconds=240))
    await begun(onboarding, MAIL)
    await environment.fast_forward(onboarding.handle, timedelta(seconds=130))
    held = False
    await environment.fast_forward(onboarding.handle, timedelta(seconds=30))
    await onboarding.mail()
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    # It was sent after 131 seconds, so half of what was left is over after 185.
    await environment.fast_forward(onboarding.handle, timedelta(seconds=15))
    assert [mail.kind for mail in place.world.mails] == ["VERIFICATION_KIND_FIRST"]
    await environment.fast_forward(onboarding.handle, timedelta(seconds=20))
    await onboarding.mail("REMINDER")
    await onboarding.verify()
    assert_whole(place.world, await onboarding.handle.result())
