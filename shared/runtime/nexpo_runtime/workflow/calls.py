"""The calls that reach an operation: whom they are for, and what each is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from google.protobuf.message import Message
from temporalio import workflow

from nexpo.contract import Handler
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.bound_calls_pb2 import BoundCall

from ..errors import Fault
from ..failures import fault_from
from ..names import OperationName
from ..telemetry import logs
from . import flow
from .call_table import CallTable, answer_of, has_ended

_log = logs.get(__name__)


class Calls:
    """Runs the handlers of one operation, each call once.

    Args:
        handlers: Has the handlers, named as the contract says.
        table: Of the run that this one goes on for; an empty one at the beginning.
    """

    def __init__(self, handlers: object, table: CallTable | None = None) -> None:
        self._handlers = handlers
        self.table = table or CallTable()
        self._under_way = 0
        self._signals: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> bool:
        """Whether a call is not answered yet, or a signal's handler still runs."""
        return self._under_way > 0

    def known(self, handler: Handler, request: Message) -> bool:
        """Whether the call was made before.

        Raises:
            Fault: REQUEST_ID_REUSED: its request_id stands for another one.
        """
        return self.table.find(handler.name, request) is not None

    async def answer(self, handler: Handler, request: Message) -> Message:
        """What the call leads to; when it was made before, what it led to. Raises: Fault."""
        self._under_way += 1
        try:
            call = self.table.find(handler.name, request)
            if call is None:
                call = self.table.bind(handler.name, request)
                await self._carry_out(call, handler, request)
            else:
                await flow.until(lambda: has_ended(call))
            return answer_of(call, handler.response)
        finally:
            self._answered()

    def recall(self, handler: Handler, request: Message) -> Message:
        """What the call led to before the operation ended.

        Raises:
            Fault: As it failed then; OPERATION_DONE: it was not made then.
        """
        try:
            call = self.table.find(handler.name, request)
        except Fault:
            call = None
        if call is None:
            raise Fault(Reason.REASON_OPERATION_DONE, "The operation has ended.")
        return answer_of(call, handler.response)

    async def _carry_out(self, call: BoundCall, handler: Handler, request: Message) -> None:
        """Runs the handler; of a signal it is only begun."""
        handle: Callable[[Message], Awaitable[Message]] = getattr(self._handlers, handler.method)
        if handler.kind == "signal":
            self.table.settle(call, handler.response())
            self._under_way += 1
            signal = asyncio.create_task(self._unanswered(handle(request), handler))
            self._signals.add(signal)  # a task that nobody holds may be collected
            signal.add_done_callback(self._signals.discard)
            return
        outcome: Message | Fault
        try:
            outcome = await handle(request)
        except Exception as error:
            outcome = fault_from(error)
        except asyncio.CancelledError as cancelled:
            self.table.settle(call, fault_from(cancelled))  # nobody must wait for it for ever
            raise
        self.table.settle(call, outcome)

    async def _unanswered(self, handling: Awaitable[Message], handler: Handler) -> None:
        try:
            await handling
        except Exception as error:
            if not (workflow.in_workflow() and workflow.unsafe.is_replaying()):
                _log.warning("signal failed", method=handler.name, reason=fault_from(error).name)
        finally:
            self._answered()

    def _answered(self) -> None:
        self._under_way -= 1
        flow.changed()


def check_addressee(request: Message, operation_type: str) -> None:
    """Whether a call that reached this workflow is for it.

    It was found by the workflow id, which holds no type where a request_id stands
    for the operation: the name in the request may claim any.

    Raises:
        Fault: OPERATION_NOT_FOUND: it names another operation.
    """
    name: str = getattr(request, "operation", "")
    if name and not _claims(name, flow.workflow_id(), operation_type):
        raise Fault(Reason.REASON_OPERATION_NOT_FOUND, "There is no such operation.")


def _claims(name: str, workflow_id: str, operation_type: str) -> bool:
    """Whether it is a name of the workflow: of whichever run of its chain."""
    try:
        parsed = OperationName.parse(name)
    except ValueError:
        return False
    return (parsed.workflow_id, parsed.type) == (workflow_id, operation_type)
