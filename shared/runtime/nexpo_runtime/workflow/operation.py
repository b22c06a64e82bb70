"""Operations: workflows that always end whole.

`Operation` wraps the author's `execute` and every handler: it keeps the
progress, undoes on failure, cancel and deadline, refuses to stop after the
pivot, waits for handlers before it ends, and turns every exception into a
failure of the catalogue. `@operation(Contract)` makes a Temporal workflow of it
and checks it against the contract.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from google.protobuf.message import Message
from temporalio import exceptions, workflow

from nexpo.contract import Handler, WorkflowContract
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import (
    MarkOperationTaskDoneRequest,
    MarkOperationTaskDoneResponse,
    Progress,
    RetryOperationTaskRequest,
    RetryOperationTaskResponse,
)
from nexpo.operations.v1.operations_temporal import COMMON_HANDLERS

from ..errors import ContractError, Fault
from ..failures import fault_from, to_application_error
from . import flow
from .calls import Calls, check_addressee
from .progress import Tracker
from .saga import Saga
from .shape import check_shape
from .task_size import TaskSize
from .tasks import OperationTasks

_log = logging.getLogger(__name__)

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)
WorkflowT = TypeVar("WorkflowT")

FINISH = "finish"
"""Step and task of an operation that failed after its pivot."""


class Operation(Generic[RequestT, ResponseT]):
    """Base of every workflow; subclasses write `execute` and their handlers.

    A handler is a method named like its RPC in snake_case; a method
    `validate_<handler>` beside it refuses by raising a Fault. Validators only
    read: what they write is lost on replay. Handlers check and set state, and
    never call activities.

    The request_id of a call that is not refused stands for that call from then
    on: made again it is answered again, with the handler's answer or its fault,
    and the handler does not run. So what may go well at the next try is the
    validator's to refuse. A signal is answered before its handler has run.
    """

    contract: ClassVar[WorkflowContract[Any]]

    def begin(self, request: RequestT) -> None:
        """Prepares the subclass's own state, before any handler can be called."""

    async def execute(self, request: RequestT) -> ResponseT:
        """The business process. Raises: Fault."""
        raise NotImplementedError

    def saga(self) -> Saga:
        """A saga of this operation: `async with self.saga() as saga`."""
        return Saga(self.tracker, self._tasks, lambda: self._stop is not None)

    def pivot(self) -> None:
        """From now on the operation only goes forward: no cancel, no deadline, no undo."""
        self.tracker.pivot()

    @property
    def name(self) -> str:
        """The operation's name, for links."""
        return self.tracker.operation

    @property
    def stopping(self) -> bool:
        """Whether it was cancelled, has expired or failed: it will undo or is undoing."""
        return self._stop is not None or self.tracker.progress.state in (
            Progress.UNDOING,
            Progress.UNDO_BLOCKED,
        )

    def waiting(self, message: str) -> None:
        """Says that the operation waits for someone outside."""
        self.tracker.state(Progress.WAITING, message)

    def running(self, message: str = "") -> None:
        """Says that the operation goes on."""
        self.tracker.state(Progress.RUNNING, message)

    async def retry_operation_task(
        self, request: RetryOperationTaskRequest
    ) -> RetryOperationTaskResponse:
        """Handler that every operation has: tries again now what is blocked."""
        self._tasks.decide(request.task, "retry")
        return RetryOperationTaskResponse(progress=self.tracker.progress)

    async def mark_operation_task_done(
        self, request: MarkOperationTaskDoneRequest
    ) -> MarkOperationTaskDoneResponse:
        """Handler that every operation has: a human did it."""
        self._tasks.decide(request.task, "done")
        return MarkOperationTaskDoneResponse(progress=self.tracker.progress)

    def validate_retry_operation_task(self, request: RetryOperationTaskRequest) -> None:
        """Raises: Fault: TASK_NOT_FOUND."""
        self._check_task(request.task)

    def validate_mark_operation_task_done(self, request: MarkOperationTaskDoneRequest) -> None:
        """Raises: Fault: TASK_NOT_FOUND."""
        self._check_task(request.task)

    def _check_task(self, task: str) -> None:
        if not self._tasks.is_open(task):
            raise Fault(Reason.REASON_TASK_NOT_FOUND, f"The operation has no open task '{task}'.")

    # What the engines call.

    def _begin(self, request: RequestT) -> None:
        """Prepares the instance; an engine calls it before anything else."""
        self.tracker = Tracker(self.contract.name, getattr(request, "request_id", ""))
        self._tasks = OperationTasks(self.tracker)
        self.task_size = TaskSize()
        self._stop: Fault | None = None
        self._calls = Calls(self)
        self.begin(request)

    async def _run(self, request: RequestT) -> ResponseT:
        """Runs the operation to its end. Raises: Fault."""
        try:
            result = await self._supervised(request)
        except Exception as error:
            if isinstance(error, workflow.NondeterminismError):
                raise
            fault = self._stop or fault_from(error)
            _report_bug(error, fault_from(error))
            cancelled = fault.reason == Reason.REASON_OPERATION_CANCELLED
            await self._end(Progress.CANCELLED if cancelled else Progress.FAILED, fault.message)
            raise fault from error
        await self._end(Progress.SUCCEEDED, "")
        return result

    async def _supervised(self, request: RequestT) -> ResponseT:
        work = asyncio.create_task(self._executed(request))
        limit = self.contract.deadline
        ends = None if limit is None else flow.now() + limit
        while not work.done():
            left = None if ends is None or self._decided else ends - flow.now()
            try:
                await asyncio.wait_for(
                    asyncio.shield(work), None if left is None else max(left.total_seconds(), 0.001)
                )
            except TimeoutError:
                if not work.done():
                    self._stop_work(work, Fault(Reason.REASON_OPERATION_EXPIRED))
            except asyncio.CancelledError:
                if work.done():
                    break
                if not flow.engine().cancel_requested():
                    raise  # The engine drops the workflow: no cancel of the operation.
                self._stop_work(work, Fault(Reason.REASON_OPERATION_CANCELLED))
            except Exception:
                break
        return _outcome(work)

    @property
    def _decided(self) -> bool:
        return self.stopping or self.tracker.progress.past_pivot

    def _stop_work(self, work: asyncio.Task[Any], why: Fault) -> None:
        # Once: a cancel during undo changes nothing, and after the pivot there is none.
        if not self._decided:
            self._stop = why
            work.cancel()

    async def _executed(self, request: RequestT) -> ResponseT:
        try:
            return await self.execute(request)
        except Exception as error:
            if isinstance(error, workflow.NondeterminismError):
                raise
            if self.tracker.progress.past_pivot:
                # Steps never fail here, so this is an author's mistake; nobody may miss it.
                await self._tasks.looked_after(FINISH, fault_from(error))
            raise

    async def _end(self, state: Progress.State.ValueType, message: str) -> None:
        self.tracker.state(state, message)
        # A handler that is cut off would give its caller an error for a state that was set.
        await flow.until(lambda: not self._calls.under_way)
        self.tracker.flush()

    def _validate(self, handler: Handler, request: Message) -> None:
        """Refuses a call. Raises: Fault."""
        check_addressee(request, self.contract.name)
        if self._calls.known(handler, request):
            return  # It is answered as it was, whatever has become of the operation since.
        # A cancel that came with the same workflow task is not acted on yet, but it was promised.
        cancelled = flow.engine().cancel_requested() and not self.tracker.progress.past_pivot
        if handler not in COMMON_HANDLERS and (self.stopping or cancelled):
            raise Fault(Reason.REASON_OPERATION_CANCELLING)
        validate: Callable[[Message], None] | None
        validate = getattr(self, f"validate_{handler.method}", None)
        if validate is not None:
            validate(request)


def operation(contract: WorkflowContract[WorkflowT]) -> Callable[[type[WorkflowT]], Any]:
    """Makes a Temporal workflow of an Operation subclass, by its contract.

    The class is checked against the contract's typed shape: by mypy through
    WorkflowT, and here.

    Raises:
        ContractError: The class does not fit the contract; says where and how.
    """

    def decorate(cls: type[WorkflowT]) -> type[WorkflowT]:
        if not issubclass(cls, Operation):
            raise ContractError(f"{cls.__name__} must be a subclass of Operation")
        check_shape(cls, contract, Operation)
        cls.contract = contract
        setattr(cls, "__nexpo_contract__", contract)  # noqa: B010  # found by discovery
        _define_run(cls, contract)
        for handler in (*contract.handlers, *COMMON_HANDLERS):
            _define_handler(cls, handler)
        return workflow.defn(name=contract.name)(cls)

    return decorate


def all_handlers(contract: WorkflowContract[Any]) -> tuple[Handler, ...]:
    """The contract's own handlers and those that every operation has."""
    return (*contract.handlers, *COMMON_HANDLERS)


def _define_run(cls: type[Operation[Any, Any]], contract: WorkflowContract[Any]) -> None:
    def __init__(self: Operation[Any, Any], request: Message) -> None:  # noqa: N807
        self._begin(request)

    async def run(self: Operation[Any, Message], request: Message) -> Message:
        try:
            return await self._run(request)
        except Fault as fault:
            if fault.reason == Reason.REASON_OPERATION_CANCELLED:
                raise exceptions.CancelledError(fault.message) from None
            raise to_application_error(fault) from None

    types = {"request": contract.request}
    _install(cls, "__init__", workflow.init, __init__, types)
    _install(cls, "run", workflow.run, run, {**types, "return": contract.response})


def _define_handler(cls: type[Operation[Any, Any]], handler: Handler) -> None:
    async def handle(self: Operation[Any, Any], request: Message) -> Message:
        try:
            return await self._calls.answer(handler, request)
        except Fault as fault:
            raise to_application_error(fault) from None

    def validate(self: Operation[Any, Any], request: Message) -> None:
        try:
            self._validate(handler, request)
        except Fault as fault:
            raise to_application_error(fault) from None

    def answer(self: Operation[Any, Any], request: Message) -> Message:
        method: Callable[[Message], Message] = getattr(self, handler.method)
        return method(request)

    types = {"request": handler.request}
    name = f"_{handler.kind}_{handler.method}"
    if handler.kind == "query":
        decorated = workflow.query(name=handler.name)
        _install(cls, name, decorated, answer, {**types, "return": handler.response})
    else:  # A signal, too: Temporal's own can neither be refused nor told from its repetition.
        _annotate(cls, "validate", validate, {**types, "return": None})
        update: Any = workflow.update(name=handler.name)
        installed = _install(cls, name, update, handle, {**types, "return": handler.response})
        installed.validator(validate)


def _install(
    cls: type, name: str, decorate: Callable[[Any], Any], fn: Any, types: dict[str, Any]
) -> Any:
    _annotate(cls, name, fn, types)
    decorated = decorate(fn)
    setattr(cls, name, decorated)
    return decorated


def _annotate(cls: type, name: str, fn: Any, types: dict[str, Any]) -> None:
    # Temporal reads concrete types from annotations, and the place from the qualified name.
    fn.__annotations__ = types
    fn.__name__ = name
    fn.__qualname__ = f"{cls.__qualname__}.{name}"
    fn.__module__ = cls.__module__


def _report_bug(error: Exception, fault: Fault) -> None:
    """Logs what ended an operation and is no fault: its code has a bug, and nobody else says so."""
    if error is fault or fault.reason != Reason.REASON_INTERNAL:
        return
    if not (workflow.in_workflow() and workflow.unsafe.is_replaying()):
        why = str(error) if isinstance(error, ContractError) else type(error).__name__
        _log.error("operation failed by a bug: %s", why, exc_info=error)


def _outcome(work: asyncio.Task[ResponseT]) -> ResponseT:
    try:
        return work.result()
    except asyncio.CancelledError:
        raise Fault(Reason.REASON_OPERATION_CANCELLED) from None
