"""Runs one case: people and operators act, the world and the faults answer."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress, RetryOperationTaskRequest
from nexpo.users.v1.users_pb2 import (
    DeleteUserRequest,
    OnboardUserRequest,
    Profile,
    ResendVerificationRequest,
    UpdateUserRequest,
    VerifyEmailRequest,
)
from nexpo_gateway.processes.users.delete_user import DeleteUser
from nexpo_gateway.processes.users.onboard_user import OnboardUser
from nexpo_gateway.processes.users.update_user import UpdateUser
from nexpo_runtime import names
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName
from nexpo_runtime.workflow.operation import Operation
from nexpo_runtime.workflow.virtual_time import Stuck

from .case import Case, Person
from .faults import Injector, Moment
from .replayed import ReplayedOperation
from .world import Mail, World

TENANT = "acme"


@dataclass
class Ended:
    """One operation and how it ended.

    Attributes:
        workflow_id: Which.
        person: Number of the person whose onboarding, update or deletion it is.
        kind: "onboard", "update" or "delete".
        progress: What it last showed.
        begun: When it began, in seconds on the case's clock.
        cancelled: When it was first cancelled before its pivot.
        pivoted: When it passed its pivot.
        over: When it ended; None of one that never did.
        result: What it succeeded with.
        fault: Why it failed.
    """

    workflow_id: str
    person: int
    kind: str
    progress: Progress
    begun: float
    cancelled: float | None = None
    pivoted: float | None = None
    over: float | None = None
    result: Message | None = None
    fault: Fault | None = None


@dataclass
class Outcome:
    """What a run left behind."""

    case: Case
    world: World
    ended: list[Ended] = field(default_factory=list)
    hit: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong_answers: list[str] = field(default_factory=list)
    course: Mapping[str, Sequence[Moment]] = field(default_factory=dict)
    stuck: Stuck | None = None
    """Why the run was given up."""


class Run:
    """One run of one case.

    Args:
        case: What to simulate.
        world: The world that the operations change; a faulty one in the tests
            of the simulation itself.
        onboard: The workflow under test.
        injector: What makes the attempts.
        update: The update that follows some onboardings.
    """

    def __init__(
        self,
        case: Case,
        world: World | None = None,
        onboard: type[Any] = OnboardUser,
        injector: type[Injector] = Injector,
        update: type[Any] = UpdateUser,
    ) -> None:
        self._case = case
        self._world = world or World()
        self._onboard = onboard
        self._update = update
        self._operations: dict[str, tuple[ReplayedOperation, asyncio.Task[Message], Ended]] = {}
        self._mails: dict[str, list[Mail]] = {}
        self._mail_came: dict[str, asyncio.Event] = {}
        self._outcome = Outcome(case, self._world)
        self._operators: set[asyncio.Task[None]] = set()
        self._injector = injector(
            self._world,
            list(case.faults),
            lambda workflow_id: self._operations[workflow_id][2].person,
            self._cancel,
        )
        self._world.on_mail = self._deliver

    async def outcome(self) -> Outcome:
        """Runs the case to its end, with every late commit landed."""
        await asyncio.gather(
            *(self._live(index, person) for index, person in enumerate(self._case.people))
        )
        await self._injector.settle()
        return self._left_behind()

    def unfinished(self, why: Stuck) -> Outcome:
        """What there is of a run that does not end; its operations are dropped."""
        for operation, _, _ in self._operations.values():
            operation.drop()
        self._outcome.stuck = why
        return self._left_behind()

    def _left_behind(self) -> Outcome:
        self._outcome.hit = self._injector.hit
        self._outcome.course = self._injector.course
        self._outcome.ended = [entry[2] for entry in self._operations.values()]
        return self._outcome

    # People

    async def _live(self, index: int, person: Person) -> None:
        request = OnboardUserRequest(
            email=person.email,
            display_name="Ada",
            password_hash="hashed",
            request_id=f"r{index}",
            profile=Profile(locale="en", plan="pro"),
        )
        for _ in range(person.duplicates):
            workflow_id = self._start(self._onboard, "onboard", index, request)
        minding = asyncio.create_task(self._mind_mails(index, person, workflow_id))
        if person.cancel_at is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(person.cancel_at, self._cancel, workflow_id)
        ended = await self._end_of(workflow_id)
        minding.cancel()
        if ended.result is None or not person.then:
            return
        user = ended.result.user  # type: ignore[attr-defined]  # OnboardUserResponse
        later = []
        if person.then in ("update", "both"):
            update = UpdateUserRequest(
                user_id=user.user_id, display_name="New", request_id=f"u{index}"
            )
            update.update_mask.paths.append("display_name")
            later.append(self._start(self._update, "update", index, update))
        if person.then in ("delete", "both"):
            delete = DeleteUserRequest(user_id=user.user_id, request_id=f"d{index}")
            later.append(self._start(DeleteUser, "delete", index, delete))
        await asyncio.gather(*(self._end_of(workflow_id) for workflow_id in later))

    async def _mind_mails(self, index: int, person: Person, workflow_id: str) -> None:
        """Reads the mail, mistypes tokens, asks again, verifies."""
        came = self._mail_came.setdefault(workflow_id, asyncio.Event())
        await came.wait()
        await asyncio.sleep(5)
        for number in range(person.wrong_tokens):
            fault = await self._verify(workflow_id, f"wrong {number}", "nonsense")
            if fault is None:
                self._outcome.wrong_answers.append("a wrong token was accepted")
                return
            locked = fault.reason == Reason.REASON_VERIFICATION_LOCKED
            answered = locked or fault.reason == Reason.REASON_TOKEN_WRONG
            if answered and locked != (number >= 5):
                self._outcome.wrong_answers.append(f"wrong token {number + 1}: {fault}")
        for number in range(person.resends):
            await self._resend(workflow_id, number)
        await asyncio.sleep(30)
        if person.verifies:
            await self._verify(workflow_id, "right", self._mails[workflow_id][-1].token)

    async def _verify(self, workflow_id: str, update: str, token: str) -> Fault | None:
        digest = hashlib.sha256(token.encode()).hexdigest()
        request = VerifyEmailRequest(token_digest=digest, request_id=update)
        return await self._send(workflow_id, "nexpo.users.v1.VerifyEmail", request)

    async def _resend(self, workflow_id: str, number: int) -> None:
        request = ResendVerificationRequest(request_id=f"resend {number}")
        name = "nexpo.users.v1.ResendVerification"
        fault = await self._send(workflow_id, name, request)
        if fault is None and number >= 3:
            self._outcome.wrong_answers.append("more than three resends were accepted")

    # Operators

    async def _send(self, workflow_id: str, name: str, request: Message) -> Fault | None:
        try:
            await self._operations[workflow_id][0].send(name, request)
        except Fault as fault:
            return fault
        return None

    def _cancel(self, workflow_id: str) -> None:
        operation, task, ended = self._operations[workflow_id]
        if not task.done() and ended.pivoted is None and ended.cancelled is None:
            ended.cancelled = asyncio.get_running_loop().time()
        operation.cancel()

    def _deliver(self, mail: Mail) -> None:
        if mail.operation:
            workflow_id = OperationName.parse(mail.operation).workflow_id
            self._mails.setdefault(workflow_id, []).append(mail)
            self._mail_came.setdefault(workflow_id, asyncio.Event()).set()

    def _start(
        self, workflow: type[Operation[Any, Any]], kind: str, person: int, request: Any
    ) -> str:
        """As the gateway does: one workflow id for one call."""
        name = workflow.contract.name
        workflow_id = names.workflow_id(TENANT, name, request.request_id, keyed=True)
        if workflow_id not in self._operations:
            now = asyncio.get_running_loop().time()
            ended = Ended(workflow_id, person, kind, Progress(), begun=now)
            run_id = str(uuid.uuid5(uuid.NAMESPACE_OID, workflow_id))
            operation = ReplayedOperation(
                workflow, request, workflow_id, run_id, self._injector, self._reporter(ended)
            )
            self._operations[workflow_id] = (operation, operation.start(), ended)
        return workflow_id

    def _reporter(self, ended: Ended) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            blocked = len(progress.tasks) > len(ended.progress.tasks)
            ended.progress = progress
            if progress.past_pivot and ended.pivoted is None:
                ended.pivoted = asyncio.get_running_loop().time()
            if blocked:
                resolving = asyncio.create_task(self._resolve(ended.workflow_id, progress))
                self._operators.add(resolving)
                resolving.add_done_callback(self._operators.discard)

        return report

    async def _resolve(self, workflow_id: str, progress: Progress) -> None:
        """An operator looks after an hour and tries again what is still blocked."""
        await asyncio.sleep(3600)
        for task in progress.tasks:
            request = RetryOperationTaskRequest(task=task.task)
            name = "nexpo.operations.v1.RetryOperationTask"
            await self._send(workflow_id, name, request)

    async def _end_of(self, workflow_id: str) -> Ended:
        _, task, ended = self._operations[workflow_id]
        try:
            ended.result = await asyncio.shield(task)
        except Fault as fault:
            ended.fault = fault
        ended.over = asyncio.get_running_loop().time()
        return ended
