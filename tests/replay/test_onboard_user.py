"""OnboardUser on Temporal, in each way in which it goes; each is kept for replay."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from google.protobuf.message import Message
from temporalio.client import WorkflowUpdateFailedError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import (
    MarkOperationTaskDoneRequest,
    MarkOperationTaskDoneResponse,
    Progress,
    RetryOperationTaskRequest,
    RetryOperationTaskResponse,
)
from nexpo.users.v1.users_pb2 import OnboardUserRequest
from nexpo.users.v1.users_temporal import OnboardUserContract
from nexpo_gateway.processes.users.onboard_user import OnboardUser
from nexpo_runtime.errors import Fault
from nexpo_runtime.tenant import acting_for
from nexpo_runtime.testing import Recorder
from tests.simulation.world import World
from tests.workflows.modelled import PLACES, FaultOf, Place, modelled_services
from tests.workflows.onboarding import Onboarding

_UNAVAILABLE = Fault(Reason.REASON_STORE_UNAVAILABLE)
_REFUSED = Fault(Reason.REASON_STORE_REFUSED)

Begin = Callable[..., Awaitable[Onboarding]]


@pytest.fixture
async def begin(recorder: Recorder) -> AsyncIterator[Begin]:
    """Begins an onboarding in a world of its own."""

    async def begun(
        fault: FaultOf = lambda step, attempt: None, verify_within: int = 10
    ) -> Onboarding:
        return await begin_onboarding(recorder, fault, verify_within)

    async with recorder.serving([OnboardUser], modelled_services()):
        yield begun


async def begin_onboarding(
    recorder: Recorder, fault: FaultOf, verify_within: int = 10
) -> Onboarding:
    """An onboarding in a world of its own, to be verified within so many seconds."""
    place = Place(World(), fault)
    tenant = f"t{uuid.uuid4().hex[:8]}"
    PLACES[tenant] = place
    request = OnboardUserRequest(
        email="ada@example.test",
        display_name="Ada",
        password_hash="hash",
        request_id="recorded",
    )
    request.profile.locale = "de-CH"
    request.profile.attributes.update({"colour": "red", "age": 36})
    request.verify_within.FromSeconds(verify_within)
    return Onboarding(await recorder.start(OnboardUserContract, request, tenant), place)


async def test_reminded_locked_and_mailed_again_it_is_verified(
    begin: Begin, recorder: Recorder
) -> None:
    onboarding = await begin()
    await onboarding.mail("REMINDER")
    for _ in range(6):
        with suppress(WorkflowUpdateFailedError):
            await onboarding.verify("wrong")
    await onboarding.resend()
    await onboarding.verify((await onboarding.mail("RESEND")).token)

    story = "verified after reminder lock and resend"
    assert await recorder.keep(onboarding.handle, story) == "COMPLETED"


async def test_every_step_fails_once_and_the_model_for_good(
    begin: Begin, recorder: Recorder
) -> None:
    def fault(step: str, attempt: int) -> Fault | None:
        if step == "write welcome text":
            return Fault(Reason.REASON_MODEL_REFUSED)
        return _UNAVAILABLE if attempt == 1 else None

    onboarding = await begin(fault)
    await onboarding.verify()

    story = "verified with retries and a template"
    assert await recorder.keep(onboarding.handle, story) == "COMPLETED"


async def test_one_store_refuses(begin: Begin, recorder: Recorder) -> None:
    onboarding = await begin(
        lambda step, attempt: _REFUSED if step == "create in sqlserver" else None
    )

    story = "undone because a store refused"
    assert await recorder.keep(onboarding.handle, story) == "STORE_REFUSED"


async def test_nobody_verifies(begin: Begin, recorder: Recorder) -> None:
    onboarding = await begin(verify_within=2)

    story = "undone because it expired"
    assert await recorder.keep(onboarding.handle, story) == "VERIFICATION_EXPIRED"


async def test_it_is_cancelled_while_it_waits_and_while_it_undoes(
    begin: Begin, recorder: Recorder
) -> None:
    onboarding = await begin(
        lambda step, attempt: _UNAVAILABLE if step.startswith("undo") and attempt < 4 else None
    )
    await onboarding.until(lambda progress: progress.state == Progress.WAITING)
    await onboarding.handle.cancel()
    await onboarding.until(lambda progress: progress.state == Progress.UNDOING)
    await onboarding.handle.cancel()

    story = "undone because it was cancelled"
    assert await recorder.keep(onboarding.handle, story) == "CANCELED"


async def test_of_two_blocked_undos_a_human_retries_one_and_does_the_other(
    begin: Begin, recorder: Recorder
) -> None:
    mended = asyncio.Event()

    def fault(step: str, attempt: int) -> Fault | None:
        if step == "provision home":
            return _REFUSED
        if step == "undo create in mongodb" and not mended.is_set():
            return _UNAVAILABLE
        return _UNAVAILABLE if step == "undo create in supabase" else None

    onboarding = await begin(fault)
    await onboarding.until(lambda progress: len(progress.tasks) == 2)
    mended.set()
    await _update(
        onboarding,
        "RetryOperationTask",
        RetryOperationTaskRequest(task="create-in-mongodb", request_id="retry"),
        RetryOperationTaskResponse,
    )
    await _update(
        onboarding,
        "MarkOperationTaskDone",
        MarkOperationTaskDoneRequest(
            task="create-in-supabase", note="by hand", request_id="by-hand"
        ),
        MarkOperationTaskDoneResponse,
    )

    assert await recorder.keep(onboarding.handle, "undone with blocked undos") == "STORE_REFUSED"


async def _update(
    onboarding: Onboarding, method: str, request: Message, response: type[Message]
) -> None:
    with acting_for(onboarding.tenant):
        await onboarding.handle.execute_update(
            f"nexpo.operations.v1.{method}", request, result_type=response
        )
