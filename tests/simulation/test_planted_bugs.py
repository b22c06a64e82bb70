"""The simulation finds the bugs that sagas are known for, each planted here on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

from nexpo.users.v1.users_pb2 import UpdateUserRequest, User, VerifyEmailRequest
from nexpo_gateway.processes.users.onboard_user import OnboardUser
from nexpo_gateway.processes.users.update_user import UpdateUser
from nexpo_gateway.processes.users.verification import WRONG_TOKENS
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow.local_engine import Attempt
from nexpo_runtime.workflow.saga import Saga, SagaStep

from .campaign import Campaign, MakeRun, shrunk, violations_of
from .case import Case
from .faults import Injector
from .run import Run
from .world import Rows, World

RUNS = 1200


def caught(make_run: MakeRun) -> tuple[Case, list[str]]:
    """The shortest case that breaks a promise, and which promises."""
    campaign = Campaign(seed=7, make_run=make_run)
    campaign.run(RUNS)
    assert campaign.failed is not None, f"{RUNS} runs did not find the planted bug"
    case = shrunk(campaign.failed, make_run)
    assert len(case.faults) <= len(campaign.failed.faults)
    assert violations_of(case) == [], "the case fails without the planted bug, too"
    return case, violations_of(case, make_run)


def onboarding_by(saga: type[Saga]) -> MakeRun:
    """Runs whose onboardings have a saga of the class."""

    class Onboards(OnboardUser):
        def saga(self) -> Saga:
            made = super().saga()
            made.__class__ = saga
            return made

    return lambda case: Run(case, onboard=Onboards)


class LateRegistration(Saga):
    """Registers the undo only when the step has succeeded."""

    def _register(self, group: list[SagaStep[Any]]) -> None:
        pass

    async def _do(self, step: SagaStep[Any]) -> Any:
        answer = await super()._do(step)
        super()._register([step])
        return answer


def test_an_undo_that_is_registered_after_its_step_is_caught() -> None:
    case, broken = caught(onboarding_by(LateRegistration))
    assert any("did not begin together" in promise for promise in broken)
    assert len(case.faults) <= 2


class RowsWithoutTombstones(Rows):
    def bury(self, key: str) -> None:
        self.rows.pop(key, None)


class WorldWithoutTombstones(World):
    def __init__(self) -> None:
        super().__init__()
        self.users = {store: RowsWithoutTombstones() for store in self.users}
        self.claims = RowsWithoutTombstones()
        self.homes = RowsWithoutTombstones()


def test_an_undo_without_a_tombstone_is_caught() -> None:
    _, broken = caught(lambda case: Run(case, world=WorldWithoutTombstones()))
    assert any("still has" in promise or "still held" in promise for promise in broken)


class KeysWithAttempts(Injector):
    """Gives every attempt another key."""

    async def __call__(self, attempt: Attempt) -> Message:
        request: Any = attempt.call.request  # The attempt's own copy.
        if "key" in request.DESCRIPTOR.fields_by_name:
            request.key = f"{request.key}/{attempt.number}"
        return await super().__call__(attempt)


def test_a_step_key_with_the_attempt_number_is_caught() -> None:
    _, broken = caught(lambda case: Run(case, injector=KeysWithAttempts))
    assert broken


class OnboardsWithCountingValidator(OnboardUser):
    """Counts the wrong tokens in the validator, where the count does not survive."""

    def validate_verify_email(self, request: VerifyEmailRequest) -> None:
        self.verification.check_open()
        self.verification.check_unlocked()
        self.verification._wrong += 1

    async def verify_email(self, request: VerifyEmailRequest) -> Any:
        wrong = self.verification._wrong
        try:
            return await super().verify_email(request)
        finally:
            assert wrong <= WRONG_TOKENS
            self.verification._wrong = wrong


def test_a_validator_that_counts_is_caught() -> None:
    _, broken = caught(lambda case: Run(case, onboard=OnboardsWithCountingValidator))
    assert any("wrong token" in promise for promise in broken)


class SwallowsCancel(Saga):
    """Takes a cancel of an optional step for a failure of it."""

    async def optional(self, step: SagaStep[Any]) -> Any:
        try:
            return await super().optional(step)
        except asyncio.CancelledError:
            return None


def test_an_optional_step_that_swallows_a_cancel_is_caught() -> None:
    _, broken = caught(onboarding_by(SwallowsCancel))
    assert any("s after its cancel" in promise for promise in broken)


class LeavesStepsRunning(Saga):
    """Ends a group at its first failure without waiting for the others."""

    async def all(self, steps: Iterable[SagaStep[Any]]) -> list[Any]:
        group = list(steps)
        self._register(group)
        tasks = [asyncio.create_task(self._do(step)) for step in group]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            raise


def test_a_group_that_does_not_wait_for_its_steps_is_caught() -> None:
    _, broken = caught(onboarding_by(LeavesStepsRunning))
    assert any("began during" in promise for promise in broken)


class FirstInFirstOut(Saga):
    async def undo(self) -> None:
        self._groups.reverse()
        await super().undo()


def test_an_undo_in_the_wrong_order_is_caught() -> None:
    _, broken = caught(onboarding_by(FirstInFirstOut))
    assert any("began out of order" in promise for promise in broken)


class OneByOne(Saga):
    async def undo(self) -> None:
        self._groups = [[step] for group in self._groups for step in group]
        await super().undo()


def test_a_group_that_is_undone_one_by_one_is_caught() -> None:
    _, broken = caught(onboarding_by(OneByOne))
    assert any("did not begin together" in promise for promise in broken)


class ForgetsTheNewEtag(Injector):
    """Lets an update's undo expect the etag from before the update only."""

    async def __call__(self, attempt: Attempt) -> Message:
        request: Any = attempt.call.request  # The attempt's own copy.
        if attempt.name.startswith("undo update in"):
            del request.expected_etags[1:]
        return await super().__call__(attempt)


def test_an_updates_undo_that_forgets_its_etag_is_caught() -> None:
    _, broken = caught(lambda case: Run(case, injector=ForgetsTheNewEtag))
    assert any("does not end" in promise or "disagree" in promise for promise in broken)


class UpdatesWithAnArmedDeadline(UpdateUser):
    """Goes on counting the time after the pivot."""

    @property
    def _decided(self) -> bool:
        return self.stopping

    def _stop_work(self, work: asyncio.Task[Any], why: Fault) -> None:
        if not self.tracker.progress.past_pivot:
            super()._stop_work(work, why)


def test_a_deadline_that_stays_armed_after_the_pivot_is_caught() -> None:
    _, broken = caught(lambda case: Run(case, update=UpdatesWithAnArmedDeadline))
    assert any("all allowed turns of the loop" in promise for promise in broken)


class UpdatesThatExpireAfterThePivot(UpdateUser):
    @property
    def _decided(self) -> bool:
        return self.stopping


def test_a_deadline_that_ends_an_operation_after_its_pivot_is_caught() -> None:
    _, broken = caught(lambda case: Run(case, update=UpdatesThatExpireAfterThePivot))
    assert any("past its pivot" in promise for promise in broken)


class UpdatesThatNeverAnswer(UpdateUser):
    async def execute(self, request: UpdateUserRequest) -> User:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")

    def _stop_work(self, work: asyncio.Task[Any], why: Fault) -> None:
        pass


def test_a_case_that_does_not_end_is_given_up_and_told_how_to_replay() -> None:
    campaign = Campaign(seed=7, make_run=lambda case: Run(case, update=UpdatesThatNeverAnswer))
    campaign.run(RUNS)
    assert campaign.failed is not None
    number = campaign.failed.seed.removeprefix("7/")
    assert "update acme/" in campaign.failure()
    assert "does not end" in campaign.failure()
    assert campaign.failure().endswith(f"replay: make simulate SEED=7 CASE={number}")


class ProfileAfterThePivot(Injector):
    """Lets the activation bring what no store has accepted before."""

    async def __call__(self, attempt: Attempt) -> Message:
        request: Any = attempt.call.request  # The attempt's own copy.
        if attempt.name.startswith("activate"):
            request.user.profile.plan = "new"
        return await super().__call__(attempt)


def test_new_content_after_the_pivot_is_caught() -> None:
    case, broken = caught(lambda case: Run(case, injector=ProfileAfterThePivot))
    assert any(fault.kind == "CONTENT" for fault in case.faults)
    assert any("onboard acme/" in promise and "does not end" in promise for promise in broken)
