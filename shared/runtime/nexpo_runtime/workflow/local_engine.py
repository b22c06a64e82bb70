"""The engine that runs operations in the calling process, without Temporal.

Not durable: a crash of the process loses what runs. It serves two purposes:
`ENABLE_TEMPORAL=false`, where attempts go over the workers' gRPC, and the
deterministic simulation, where they go to modelled stores under a virtual clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from nexpo.contract import Call, Handler
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress

from ..errors import Fault
from ..failures import fault_from, retry_delay
from ..names import tenant_of
from ..retry import POLICIES
from . import flow
from .operation import Operation, all_handlers

ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one call.

    Attributes:
        call: What to do. Its request is the caller's own copy.
        name: The call's name in its operation.
        workflow_id: Whose call it is.
        tenant: Whose operation it is.
        number: From 1.
    """

    call: Call[Any]
    name: str
    workflow_id: str
    tenant: str
    number: int


Attempter = Callable[[Attempt], Awaitable[Message]]
"""Makes one attempt and returns the activity's response. Raises: Fault."""


class LocalOperation:
    """One operation in process, from its start to its end.

    Args:
        workflow: The operation's class.
        request: Its request; it is copied.
        workflow_id: Of the call that it stands for: see names.workflow_id.
        run_id: Identifies the run.
        attempt: Makes the attempts of its calls.
        report: Called with a copy of the progress at every change.
    """

    durable = False
    task_after = flow.TASK_AFTER

    def __init__(
        self,
        workflow: type[Operation[Any, Any]],
        request: Message,
        workflow_id: str,
        run_id: str,
        attempt: Attempter,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self._class = workflow
        self._request = _copy(request)
        self._workflow_id = workflow_id
        self._run_id = run_id
        self._attempt = attempt
        self._report = report
        self._cancel_requested = False
        self._dropped = False
        self._conditions: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._handlers: Mapping[str, Handler] = {
            handler.name: handler for handler in all_handlers(workflow.contract)
        }
        self.instance: Operation[Any, Any] | None = None
        self._main: asyncio.Task[Message] | None = None
        self._begun = asyncio.Event()

    # For whoever runs operations.

    def start(self) -> asyncio.Task[Message]:
        """Begins; the task's result is the operation's, or a Fault."""
        self._main = asyncio.create_task(self._run())
        return self._main

    async def send(self, name: str, request: Message) -> Message:
        """A call of an update, signal or query, by the full RPC name. Raises: Fault."""
        await self._begun.wait()
        assert self.instance is not None
        assert self._main is not None
        handler = self._handlers[name]
        if handler.kind == "query":
            query: Callable[[Message], Message] = getattr(self.instance, handler.method)
            return query(_copy(request))
        if self._main.done():
            return self.instance._calls.recall(handler, request)
        return await asyncio.create_task(self._handled(handler, _copy(request)))

    def cancel(self) -> None:
        """Asks the operation to stop and undo; it refuses after its pivot."""
        if self._main is not None and not self._main.done():
            self._cancel_requested = True
            self._main.cancel()

    def drop(self) -> None:
        """Ends it where it stands, as a crash would: nothing is undone, whatever it does."""
        self._dropped = True
        if self._main is not None:
            self._main.cancel()

    # Engine

    @property
    def workflow_id(self) -> str:
        return self._workflow_id

    @property
    def run_id(self) -> str:
        return self._run_id

    @property
    def tenant(self) -> str:
        return tenant_of(self._workflow_id)

    def now(self) -> datetime:
        clock = asyncio.get_running_loop()
        virtual: Callable[[], datetime] | None = getattr(clock, "now", None)
        return virtual() if virtual is not None else datetime.now(UTC)

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())

    async def until(self, condition: Callable[[], bool], within: timedelta | None) -> bool:
        if condition():
            return True
        true: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._conditions.append((condition, true))
        try:
            async with asyncio.timeout(None if within is None else within.total_seconds()):
                await true
        except TimeoutError:
            return condition()
        finally:
            self._conditions = [entry for entry in self._conditions if entry[1] is not true]
        return True

    async def call(self, call: Call[ResponseT], name: str) -> ResponseT:
        if call.within is None:
            return await self._retried(call, name)
        try:
            async with asyncio.timeout(call.within.total_seconds()):
                return await self._retried(call, name)
        except TimeoutError:
            raise Fault(Reason.REASON_DEADLINE_EXCEEDED, f"'{name}' took too long.") from None

    def changed(self) -> None:
        asyncio.get_running_loop().call_soon(self._check_conditions)

    def cancel_requested(self) -> bool:
        return self._cancel_requested and not self._dropped

    def report(self, progress: Progress, state_changed: bool) -> None:
        self._report(_copy(progress))

    def patched(self, change: str) -> bool:
        return True

    def validate(self, handler: Handler, request: Message) -> None:
        """Asks the workflow whether it takes the update. Raises: Fault."""
        assert self.instance is not None
        self.instance._validate(handler, request)

    # Inside

    async def _run(self) -> Message:
        flow.use_local(self)
        self.instance = self._class.__new__(self._class)
        self.instance._begin(self._request)
        self._begun.set()
        result: Message = await self.instance._run(self._request)
        return result

    async def _handled(self, handler: Handler, request: Message) -> Message:
        flow.use_local(self)
        assert self.instance is not None
        self.validate(handler, request)
        return await self.instance._calls.answer(handler, request)

    async def _retried(self, call: Call[ResponseT], name: str) -> ResponseT:
        policy = POLICIES[call.retry or call.activity.retry]
        number = 0
        while True:
            number += 1
            try:
                return await self._attempted(call, name, number)
            except Fault as fault:
                fault.attempt = number
                retryable = fault.entry.retryable or not policy.maximum_attempts
                if not retryable or number == policy.maximum_attempts:
                    raise
                await self.sleep(retry_delay(fault) or policy.pause(number))

    async def _attempted(self, call: Call[ResponseT], name: str, number: int) -> ResponseT:
        own = Call(call.activity, _copy(call.request), call.queue, call.retry, call.within)
        attempt = Attempt(own, name, self._workflow_id, self.tenant, number)
        try:
            async with asyncio.timeout(call.activity.start_to_close.total_seconds()):
                answer = await self._attempt(attempt)
        except TimeoutError:
            raise Fault(Reason.REASON_DEADLINE_EXCEEDED, f"'{name}' took too long.") from None
        except Exception as error:
            raise fault_from(error) from error
        if "attempt" in answer.DESCRIPTOR.fields_by_name:
            answer.attempt = number  # type: ignore[attr-defined]  # checked above
        return cast(ResponseT, answer)

    def _check_conditions(self) -> None:
        for condition, true in self._conditions:
            if not true.done() and condition():
                true.set_result(None)


MessageT = TypeVar("MessageT", bound=Message)


def _copy(message: MessageT) -> MessageT:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
