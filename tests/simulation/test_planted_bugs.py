"""The simulation finds the bugs that sagas are known for, each planted here on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from nexpo.users.v1.users_pb2 import VerifyEmailRequest
from nexpo_gateway.workflows.onboard_user import OnboardUser
from nexpo_gateway.workflows.verification import WRONG_TOKENS
from nexpo_runtime.local_engine import Attempt
from nexpo_runtime.saga import Saga, SagaStep

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


class LateRegistration(Saga):
    """Registers the undo only when the step has succeeded."""

    def _register(self, group: list[SagaStep[Any]]) -> None:
        pass

    async def _do(self, step: SagaStep[Any]) -> Any:
        answer = await super()._do(step)
        super()._register([step])
        return answer


class OnboardsWithLateUndo(OnboardUser):
    def saga(self) -> Saga:
        return LateRegistration(self.tracker, self._tasks, lambda: self._stop is not None)


def test_an_undo_that_is_registered_after_its_step_is_caught() -> None:
    case, broken = caught(lambda case: Run(case, onboard=OnboardsWithLateUndo))
    assert any("still has" in promise for promise in broken)
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
    assert any("still has" in promise for promise in broken)


class KeysWithAttempts(Injector):
    """Gives every attempt another key."""

    async def __call__(self, attempt: Attempt) -> Message:
        request: Any = type(attempt.call.request)()
        request.CopyFrom(attempt.call.request)
        if "key" in request.DESCRIPTOR.fields_by_name:
            request.key = f"{request.key}/{attempt.number}"
        return await super().__call__(replace(attempt, call=attempt.call.activity(request)))


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
